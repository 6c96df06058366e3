"""The report by class equals that of scikit-learn, or of seqeval for tagged words."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from taskbank import plugins
from taskbank.kinds.class_report import Cell, report_classes, report_entities, report_labels
from taskbank.kinds.kind import Kind
from tests.helpers.rows import labelled

LABELS = tuple("abcdef")


def _equals_scikit_learn(report: object, expected: tuple[np.ndarray, ...]) -> None:
    for number, score in enumerate(report.classes):  # type: ignore[attr-defined]
        found = [score.precision, score.recall, score.f1, score.support]
        assert [value or 0 for value in found] == pytest.approx([part[number] for part in expected])


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_reported_as_by_scikit_learn(seed: int) -> None:
    """Precision, recall, F1, support and every cell are its own; classes without any have none."""
    chance = np.random.default_rng(seed)
    targets, predicted = chance.integers(0, 5, 40), chance.integers(1, 5, 40)
    report = report_classes(LABELS, predicted, targets)
    _equals_scikit_learn(
        report,
        precision_recall_fscore_support(targets, predicted, labels=range(6), zero_division=0),
    )
    matrix = np.zeros((6, 6), dtype=int)
    for cell in report.cells or ():
        matrix[LABELS.index(cell.label or ""), LABELS.index(cell.predicted or "")] = cell.count
    assert (matrix == confusion_matrix(targets, predicted, labels=range(6))).all()
    assert [score.f1 for score in report.classes][5] is None
    assert report.classes[0].precision is None


def test_labels_are_reported_as_by_scikit_learn() -> None:
    """Of several labels an example each is scored by itself, and there is no confusion matrix."""
    chance = np.random.default_rng(0)
    expected, predicted = (chance.random((50, 6)) < 0.3 for _ in range(2))
    report = report_labels(LABELS, predicted, expected)
    _equals_scikit_learn(
        report, precision_recall_fscore_support(expected, predicted, zero_division=0)
    )
    assert report.cells is None


def test_entities_are_counted_whole_and_missed_ones_have_no_class() -> None:
    """An entity is found with its first and last word; one of another type is taken for it."""
    correct = [{("place", 0, 1), ("name", 3, 3)}, {("name", 0, 0)}]
    predicted = [{("name", 0, 1), ("name", 3, 4)}, {("name", 0, 0)}]
    report = report_entities(["name", "place"], predicted, correct)
    assert report.unit == "entities"
    assert set(report.cells or ()) == {
        Cell("place", "name", 1),
        Cell("name", None, 1),
        Cell(None, "name", 1),
        Cell("name", "name", 1),
    }
    name, place = report.classes
    assert (name.support, name.predicted, name.precision, name.recall) == (2, 3, 1 / 3, 1 / 2)
    assert (place.support, place.predicted, place.precision, place.recall) == (1, 0, None, 0)


def test_the_largest_confusions_come_first() -> None:
    """What is predicted correctly is no confusion."""
    report = report_classes("abc", np.array([1, 1, 2, 0, 0]), np.array([0, 0, 1, 0, 1]))
    assert [cell.count for cell in report.confusions()] == [2, 1, 1]
    assert report.confusions()[0] == Cell("a", "b", 2)


@pytest.mark.parametrize("name", plugins.names("kinds"))
def test_every_kind_with_classes_counts_every_example(name: str) -> None:
    """Where an example has one class, the cells add up to the examples; all scores are in range."""
    kind: Kind = plugins.load("kinds", name)
    columns = labelled(name, 60, seed=3)
    definition = kind.define(columns, "here", {})
    shape = kind.shape(columns, definition)
    predictions = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    report = kind.by_class(predictions, columns, definition)
    assert (report is None) == (name in ("regression", "span"))
    if report is not None:
        if report.cells and report.unit == "examples":
            assert sum(cell.count for cell in report.cells) == 60
        values = [v for one in report.classes for v in (one.precision, one.recall, one.f1)]
        assert all(value is None or 0 <= value <= 1 for value in values)
    assert set(kind.proportions) <= set(kind.scores(predictions, columns, definition))
