"""The stored examples of a version that are most like an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.pages.shown_text import SHOWN_TEXT, as_text, shown_label
from taskbank.pages.similar import COMPARED, most_similar

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

SIMILAR = 5  # stored examples


@dataclass(frozen=True)
class StoredExample:
    """A stored example that is like the input; whether it was answered rightly, if it can be."""

    number: int
    text: str
    label: str
    answer: str
    correct: bool | None
    similarity: float


@dataclass(frozen=True)
class Nearest:
    """The stored examples that are most like an input.

    Attributes:
        split: the split that was searched.
        compared: number of its examples that were.
        of_all: number of its examples.
        examples: the examples, the most similar first.
    """

    split: str
    compared: int
    of_all: int
    examples: tuple[StoredExample, ...]


def nearest(bank: Bank, record: AdapterRecord, row: Sequence[Json]) -> Nearest | None:
    """Return the stored examples of a version that are most like an input; None if none is stored.

    Args:
        bank: an open bank.
        record: the version, with its splits.
        row: the input.

    Raises:
        DamagedError: if the stored bytes are missing or differ from what was recorded.
    """
    splits = [split.name for split in record.splits]
    if not splits:
        return None
    split = record.verified_split if record.verified_split in splits else splits[0]
    kind: Kind = plugins.load("kinds", record.kind)
    columns = bank.examples(record, split).columns
    names = [name for name in columns if name != kind.label.name]
    texts = [
        " ".join(as_text(value) for value in values)
        for values in zip(*(columns[name][:COMPARED] for name in names), strict=True)
    ]
    found = most_similar(" ".join(map(as_text, row)), texts, SIMILAR)
    predictions = bank.reference(record, split)
    answers = kind.answers(predictions, columns, record.definition)
    correctness = kind.correctness(predictions, columns, record.definition)
    number = kind.label.type == "number"  # which is nearly right at best
    return Nearest(
        split,
        len(texts),
        len(answers),
        tuple(
            StoredExample(
                position + 1,
                texts[position][:SHOWN_TEXT],
                shown_label(kind, columns, record.definition, position),
                str(answers[position]["label"])[:SHOWN_TEXT],
                None if number else bool(correctness[position] == 1),
                similarity,
            )
            for position, similarity in found
        ),
    )
