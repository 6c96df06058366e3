"""What a version got right and wrong, from its stored examples and predictions, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.class_report import Cell, ClassReport
from taskbank.pages.class_scores import (
    MATRIX,
    ClassRow,
    MatrixCell,
    class_row,
    confusion_matrix,
)
from taskbank.pages.length_groups import LengthGroup, length_groups
from taskbank.pages.reliability import Reliability, reliability_of
from taskbank.pages.shown_text import SHOWN_TEXT, as_text, shown_inputs, shown_label
from taskbank.specs import FOLDS

if TYPE_CHECKING:
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.kind import Columns, Kind

SHOWN_ROWS = 20  # examples of a page
Order = Literal["wrong", "unsure", "stored"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class Asked:
    """Which examples are shown.

    Attributes:
        split: the split; None means the scored one.
        order: `wrong` for the worst and among them the most confident first, `unsure` for those
            nearest to another answer first, `stored` for their own order.
        label: only examples of this label.
        predicted: only examples that were answered so.
        start: the number of the first one, from 0.
    """

    split: str | None = None
    order: Order = "wrong"
    label: str | None = None
    predicted: str | None = None
    start: int = 0


@dataclass(frozen=True)
class ExampleRow:
    """One example.

    Attributes:
        number: its row in the split, from 1.
        inputs: its texts by name, shortened.
        characters: number of characters of the texts if they are shortened, else None.
        label: its label.
        predicted: the answer.
        score: the confidence in it.
        correct: from 0 to 1; for a number, the negated error.
    """

    number: int
    inputs: tuple[tuple[str, str], ...]
    characters: int | None
    label: str
    predicted: str
    score: float
    correct: float


@dataclass(frozen=True)
class Evidence:
    """What a version got right and wrong on one split.

    Attributes:
        split: the split.
        splits: every split that can be shown.
        own: whether the version's training saw the split's examples.
        unit: what the report by class counts, `examples` or `entities`; None without classes.
        classes: the scores of every class.
        matrix: the confusion matrix by true class; empty where there are too many classes.
        matrix_labels: its columns.
        confusions: pairs of confused classes, the most frequent first.
        reliability: None for a kind without a probability of each answer.
        lengths: correctness by the length of the input.
        asked: which examples are shown.
        found: number of examples that match.
        examples: the examples of the page.
        numeric: whether `correct` is a negated error.
        has_cells: whether examples can be chosen by their label and answer.
    """

    split: str
    splits: tuple[str, ...]
    own: bool
    unit: str | None
    classes: tuple[ClassRow, ...]
    matrix: tuple[tuple[str, tuple[MatrixCell, ...]], ...]
    matrix_labels: tuple[str, ...]
    confusions: tuple[Cell, ...]
    reliability: Reliability | None
    lengths: tuple[LengthGroup, ...]
    asked: Asked
    found: int
    examples: tuple[ExampleRow, ...]
    numeric: bool
    has_cells: bool

    @property
    def next(self) -> int | None:
        """Where the next page of examples begins; None if this is the last."""
        end = self.asked.start + len(self.examples)
        return end if self.examples and end < self.found else None

    @property
    def previous(self) -> int | None:
        """Where the page before begins; None if this is the first."""
        return max(0, self.asked.start - SHOWN_ROWS) if self.asked.start else None


def read_evidence(bank: Bank, record: AdapterRecord, asked: Asked) -> Evidence | None:
    """Return what a version got right and wrong; None if it has no stored split.

    Args:
        bank: an open bank.
        record: the version.
        asked: which split and examples to show.

    Raises:
        InputError: if the version's kind is not installed, or nothing can be shown in that order.
        NotFoundError: if there is no such split.
        DamagedError: if the stored bytes are missing or differ from what was recorded.
    """
    if asked.order not in ORDERS:
        raise InputError(
            f"examples cannot be shown in the order {asked.order[:40]!r}: use one of "
            f"{', '.join(ORDERS)}"
        )
    splits = tuple(split.name for split in record.splits)
    if not splits:
        return None
    split = asked.split or (record.verified_split if record.verified_split in splits else splits[0])
    kind: Kind = plugins.load("kinds", record.kind)
    columns = bank.examples(record, split).columns
    predictions = bank.reference(record, split)
    definition = record.definition
    answers = kind.answers(predictions, columns, definition)
    correctness = kind.correctness(predictions, columns, definition)
    report = kind.by_class(predictions, columns, definition)
    if "classes" in record.course and split == record.verified_split:
        # The folds' predictions, of examples that their trainings had not seen.
        report = ClassReport.of(record.course["classes"])
    labels = [as_text(value) for value in columns[kind.label.name]]
    has_cells = _is_classification(kind, answers)
    rows = _rows(asked, kind, labels, answers, correctness, predictions, columns, record)
    page = rows[asked.start : asked.start + SHOWN_ROWS]
    return Evidence(
        split,
        splits,
        record.split == FOLDS and split == record.verified_split,
        None if report is None else report.unit,
        () if report is None else tuple(map(class_row, report.classes)),
        confusion_matrix(report, definition.labels) if has_cells else (),
        definition.labels,
        () if report is None else tuple(report.confusions()[:MATRIX]),
        reliability_of(answers, correctness) if has_cells else None,
        length_groups(kind, columns, correctness),
        asked,
        len(rows),
        tuple(
            _example(row, kind, columns, definition, answers, correctness) for row in page.tolist()
        ),
        bool((correctness < 0).any()) or (not definition.labels and kind.label.type == "number"),
        has_cells,
    )


def _is_classification(kind: Kind, answers: Sequence[dict[str, Json]]) -> bool:
    return kind.label.type == "class" and all("probabilities" in one for one in answers[:1])


def _rows(
    asked: Asked,
    kind: Kind,
    labels: Sequence[str],
    answers: Sequence[dict[str, Json]],
    correctness: np.ndarray,
    predictions: np.ndarray,
    columns: Columns,
    record: AdapterRecord,
) -> np.ndarray:
    """Return the positions of the examples to show, in their order."""
    keep = np.ones(len(labels), dtype=bool)
    if asked.label is not None:
        keep &= np.array([label == asked.label for label in labels])
    if asked.predicted is not None:
        keep &= np.array([answer["label"] == asked.predicted for answer in answers])
    if asked.order == "stored":
        return np.flatnonzero(keep)
    if asked.order == "unsure":
        keys: tuple[np.ndarray, ...] = (kind.margins(predictions, columns, record.definition),)
    else:
        confidence = np.array([answer["score"] for answer in answers])
        keys = (-confidence, correctness)
        if asked.label is None and asked.predicted is None:
            keep &= correctness < (0 if kind.label.type == "number" else 1)
    order = np.lexsort(keys)
    return np.asarray(order[keep[order]])


def _example(
    row: int,
    kind: Kind,
    columns: Columns,
    definition: Definition,
    answers: Sequence[dict[str, Json]],
    correctness: np.ndarray,
) -> ExampleRow:
    inputs, characters = shown_inputs(columns, kind.label.name, row)
    return ExampleRow(
        row + 1,
        inputs,
        characters,
        shown_label(kind, columns, definition, row),
        str(answers[row]["label"])[:SHOWN_TEXT],
        float(answers[row]["score"]),
        float(correctness[row]),
    )
