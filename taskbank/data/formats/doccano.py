"""Exports of doccano: texts with labels, or with marked spans.

Labels of texts are columns as any other. Marked spans, under `label`, `labels` or `entities`, are
also given as the columns `words` and `tags`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskbank.data.formats.records import Record
from taskbank.data.formats.spans import Span, words_and_tags

KEYS = ("label", "labels", "entities")


def add_words_of_doccano(source: str, records: Sequence[Record]) -> Sequence[Record]:
    """Return records with `words` and `tags` if each is a text with marked spans.

    Raises:
        DataError: naming the row of a span that is not in its text, or overlaps another.
    """
    for key in KEYS:
        spans = [_spans(record.get(key)) for record in records]
        if (
            all(found is not None for found in spans)
            and any(spans)
            and all(isinstance(record.get("text"), str) for record in records)
            and not any("words" in record or "tags" in record for record in records)
        ):
            return [
                _with_words(f"row {number} of {source}", record, found or ())
                for number, (record, found) in enumerate(zip(records, spans, strict=True), start=1)
            ]
    return records


def _with_words(place: str, record: Record, spans: Sequence[Span]) -> Record:
    words, tags = words_and_tags(place, record["text"], spans)
    return {**record, "words": words, "tags": tags}


def _spans(value: Any) -> list[Span] | None:
    """Return the spans of a list of `[start, end, label]` or of objects with offsets, or None."""
    if not isinstance(value, list):
        return None
    spans = []
    for item in value:
        if isinstance(item, dict):
            item = [item.get(key) for key in ("start_offset", "end_offset", "label")]
        if not isinstance(item, list) or [type(part) for part in item] != [int, int, str]:
            return None
        spans.append(Span(*item))
    return spans
