"""SQuAD's scoring of answers: normalised words, exact match and F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised_words(text: str) -> list[str]:
    """Return the words that SQuAD's scoring compares: lower-case, no punctuation or articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def words_f1(predicted: list[str], correct: list[str]) -> float:
    """Return the F1 over the words of a predicted and a correct answer."""
    if not predicted or not correct:
        return float(predicted == correct)
    shared = sum((Counter(predicted) & Counter(correct)).values())
    return 2 * shared / (len(predicted) + len(correct))
