"""Normal forms of texts: equal for texts that look alike to a reader."""

from __future__ import annotations

import re
from unicodedata import normalize

# Characters that show nothing: Unicode's default ignorable code points, and control characters
# other than white space.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible_text(text: str) -> str:
    """Return a text in Unicode's form NFKC, without invisible characters, with single spaces."""
    if not text.isascii():
        text = normalize("NFKC", text)
    return " ".join(INVISIBLE.sub("", text).split())


def escaped(text: str) -> str:
    """Return a text in quotes, with every character escaped that is not plain ASCII."""
    return ascii(text)
