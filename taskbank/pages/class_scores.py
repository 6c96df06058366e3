"""The scores of the classes with intervals, and which classes are taken for which others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskbank.kinds.class_report import ClassReport, ClassScore
from taskbank.kinds.intervals import Interval, wilson

MATRIX = 16  # classes whose confusions are drawn as a matrix


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


def class_row(score: ClassScore) -> ClassRow:
    """Return the scores of a class with their intervals."""
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


def confusion_matrix(
    report: ClassReport | None, labels: Sequence[str]
) -> tuple[tuple[str, tuple[MatrixCell, ...]], ...]:
    """Return the confusion matrix by true class; empty without one, or with too many classes.

    Args:
        report: the report by class; None without classes.
        labels: the classes, in the order of rows and columns.
    """
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
