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
from taskbank.kinds.calibration import bins_of
from taskbank.kinds.class_report import Cell, ClassReport
from taskbank.kinds.intervals import Interval, wilson
from taskbank.pages.charts import Chart, unit_chart
from taskbank.specs import FOLDS

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

SHOWN_TEXT = 400  # characters of an example
SHOWN_ROWS = 20  # examples of a page
MATRIX = 16  # classes whose confusions are drawn as a matrix
GROUPS = 5  # of examples by length
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
class ClassRow:
    """The scores of a class, with 95 % intervals where there is something to count."""

    label: str
    precision: float | None
    precision_interval: Interval | None
    recall: float | None
    recall_interval: Interval | None
    f1: float | None
    support: int
    predicted: int


@dataclass(frozen=True)
class MatrixCell:
    """A cell of the confusion matrix; its level, from 0 to 6, is the share of its row."""

    label: str
    predicted: str
    count: int
    level: int


@dataclass(frozen=True)
class Reliability:
    """How well the probability of an answer matches the share of correct ones.

    Attributes:
        chart: the share of correct answers by probability.
        error: the mean distance between the two, over the examples (expected calibration error).
        rows: of each group the mean probability, the share of correct answers, its interval and
            the number of examples.
    """

    chart: Chart
    error: float
    rows: tuple[tuple[float, float, Interval, int], ...]


@dataclass(frozen=True)
class LengthGroup:
    """Examples of similar length: their number of words, and how correct their answers are."""

    shortest: int
    longest: int
    count: int
    correctness: float


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
    between = ", " if kind.label.type == "classes" else " "
    labels = [as_text(value, between) for value in columns[kind.label.name]]
    has_cells = _is_classification(kind, answers)
    rows = _rows(asked, kind, labels, answers, correctness, predictions, columns, record)
    page = rows[asked.start : asked.start + SHOWN_ROWS]
    return Evidence(
        split,
        splits,
        record.split == FOLDS and split == record.verified_split,
        None if report is None else report.unit,
        () if report is None else tuple(map(_class_row, report.classes)),
        _matrix(report, definition.labels) if has_cells else (),
        definition.labels,
        () if report is None else tuple(report.confusions()[:MATRIX]),
        _reliability(answers, correctness) if has_cells else None,
        _lengths(kind, columns, correctness),
        asked,
        len(rows),
        tuple(_example(row, kind, columns, labels, answers, correctness) for row in page.tolist()),
        bool((correctness < 0).any()) or (not definition.labels and kind.label.type == "number"),
        has_cells,
    )


def as_text(value: Json, between: str = " ") -> str:
    """Return a label or an input as text for people.

    Args:
        value: the value.
        between: what stands between the items of a list.
    """
    if isinstance(value, dict):
        value = value.get("text", "")
    if isinstance(value, list | tuple):
        return between.join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def shown_inputs(
    columns: Columns, label: str, row: int
) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """Return an example's inputs as texts by name, shortened, and how long they are if they were.

    Args:
        columns: the examples' columns.
        label: the column to predict, which is not an input.
        row: the example's position.
    """
    texts = {name: as_text(values[row]) for name, values in columns.items() if name != label}
    shortened = any(len(text) > SHOWN_TEXT for text in texts.values())
    return (
        tuple((name, text[:SHOWN_TEXT]) for name, text in texts.items()),
        sum(map(len, texts.values())) if shortened else None,
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


def _class_row(score: object) -> ClassRow:
    from taskbank.kinds.class_report import ClassScore

    assert isinstance(score, ClassScore)  # noqa: S101 - for the type checker
    return ClassRow(
        score.label,
        score.precision,
        None if score.precision is None else wilson(score.precision, score.predicted),
        score.recall,
        None if score.recall is None else wilson(score.recall, score.support),
        score.f1,
        score.support,
        score.predicted,
    )


def _matrix(
    report: ClassReport | None, labels: Sequence[str]
) -> tuple[tuple[str, tuple[MatrixCell, ...]], ...]:
    if report is None or report.cells is None or len(labels) > MATRIX:
        return ()
    counts = {(cell.label, cell.predicted): cell.count for cell in report.cells}
    support = {score.label: score.support for score in report.classes}
    return tuple(
        (
            label,
            tuple(
                MatrixCell(
                    label,
                    predicted,
                    count := counts.get((label, predicted), 0),
                    0 if not count else 1 + round(5 * count / support[label]),
                )
                for predicted in labels
            ),
        )
        for label in labels
    )


def _reliability(answers: Sequence[dict[str, Json]], correctness: np.ndarray) -> Reliability | None:
    scores = np.array([answer["score"] for answer in answers])
    if not len(scores):
        return None
    bins = bins_of(scores)
    rows, points, distance = [], [], 0.0
    for number in np.unique(bins):
        inside = bins == number
        count = int(inside.sum())
        confidence, share = float(scores[inside].mean()), float(correctness[inside].mean())
        low, high = wilson(share, count)
        rows.append((confidence, share, (low, high), count))
        words = f"probability {confidence:.3f}: {share:.3f} of {count:,} correct"
        points.append((confidence, share, low, high, count / len(scores), words))
        distance += count * abs(share - confidence)
    chart = unit_chart(points, "Share of correct answers by the probability of the answer")
    return Reliability(chart, distance / len(scores), tuple(rows))


def _lengths(kind: Kind, columns: Columns, correctness: np.ndarray) -> tuple[LengthGroup, ...]:
    inputs = [values for name, values in columns.items() if name != kind.label.name]
    counts = np.array(
        [sum(_words(values[row]) for values in inputs) for row in range(len(correctness))]
    )
    if not len(counts):
        return ()
    edges = np.unique(np.quantile(counts, np.linspace(0, 1, GROUPS + 1)[1:-1], method="lower"))
    groups = np.searchsorted(edges, counts, side="left")
    return tuple(
        LengthGroup(
            int(counts[groups == group].min()),
            int(counts[groups == group].max()),
            int((groups == group).sum()),
            float(correctness[groups == group].mean()),
        )
        for group in np.unique(groups)
    )


def _words(value: Json) -> int:
    return len(value) if isinstance(value, list | tuple) else len(str(value).split())


def _example(
    row: int,
    kind: Kind,
    columns: Columns,
    labels: Sequence[str],
    answers: Sequence[dict[str, Json]],
    correctness: np.ndarray,
) -> ExampleRow:
    inputs, characters = shown_inputs(columns, kind.label.name, row)
    return ExampleRow(
        row + 1,
        inputs,
        characters,
        labels[row][:SHOWN_TEXT],
        str(answers[row]["label"])[:SHOWN_TEXT],
        float(answers[row]["score"]),
        float(correctness[row]),
    )
