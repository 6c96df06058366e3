"""Finds the words of a text."""

from __future__ import annotations

import re
from unicodedata import category

# A word of a text to predict: a mention or hashtag, a word with its inner punctuation,
# or any other single character.
WORD = re.compile(r"[@#]?\w+(?:['’.-]\w+)*|[^\w\s]")
SIGN = re.compile(r"[^\w\s]")


def find_words(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each word and sign of a text."""
    # Python's \w excludes combining marks, so that Hindi words and "e\u0301" would be split.
    plain = SIGN.sub(lambda sign: "x" if category(sign[0])[0] == "M" else sign[0], text)
    return [match.span() for match in WORD.finditer(plain)]
