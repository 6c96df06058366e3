"""Turns marked spans of a text into words with tags, for the kind `tagging`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskbank.data.fields import preview
from taskbank.data.words import find_words
from taskbank.errors import DataError

OUTSIDE = "O"


@dataclass(frozen=True)
class Span:
    """A marked part of a text.

    Attributes:
        start: position of the first character.
        end: position after the last character.
        label: the label.
    """

    start: int
    end: int
    label: str


def words_and_tags(place: str, text: str, spans: Sequence[Span]) -> tuple[list[str], list[str]]:
    """Return the words of a text, and a tag for each: B-label, I-label or O.

    A word that a span covers in part is divided at the span's border.

    Args:
        place: the place of the text, for errors.
        text: the text.
        spans: the marked parts, in any order.

    Raises:
        DataError: if a span is not in the text, holds no word, or overlaps another.
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    words, tags = [], []
    position = 0
    for span in ordered:
        marked = text[span.start : span.end]
        if not 0 <= span.start < span.end <= len(text) or not marked.strip():
            raise DataError(
                f"{place} has {preview(span.label)} from {span.start} to {span.end}, which is not "
                f"in its text of {len(text):,} characters: correct the span"
            )
        if span.start < position:
            raise DataError(
                f"{place} has {preview(span.label)} from {span.start} to {span.end}, which "
                "overlaps the span before it: a word has one tag, so leave one of them out"
            )
        before = _words(text[position : span.start])
        inside = _words(marked)
        words += before + inside
        tags += (
            [OUTSIDE] * len(before) + [f"B-{span.label}"] + [f"I-{span.label}"] * (len(inside) - 1)
        )
        position = span.end
    after = _words(text[position:])
    return words + after, tags + [OUTSIDE] * len(after)


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in find_words(text)]
