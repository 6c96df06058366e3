"""The chance of a score: what so few examples show."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.kinds.classification import Classification
from taskbank.kinds.definition import Definition
from taskbank.kinds.regression import REGRESSION
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.training.evaluation import chance_of_score
from tests.helpers.rows import labelled

TWO = Definition(("no", "yes"), {"positive": "yes"})


def _chance(right: list[bool], metric: str = "accuracy", kind: Classification = SINGLE) -> float:
    targets = np.arange(len(right)) % 2
    predicted = np.where(right, targets, 1 - targets)
    columns = {"text": ("t",) * len(right), "label": [TWO.labels[target] for target in targets]}
    found = chance_of_score(kind, metric, np.eye(2, dtype=np.float32)[predicted], columns, TWO)
    assert found is not None
    return found


def test_two_correct_answers_out_of_two_are_chance_in_one_case_of_two() -> None:
    """With the labels in either order, one of two orders is as good."""
    for metric in ("accuracy", "matthews", "f1", "log_loss"):
        assert _chance([True] * 2, metric) == pytest.approx(0.5, abs=0.08)


def test_more_correct_answers_are_less_likely_chance() -> None:
    """Eight of eight are one of seventy orders; half of many are what chance gives."""
    assert _chance([True] * 8) == pytest.approx(1 / 70, abs=0.03)
    assert _chance([True] * 40) == 1 / 400
    assert _chance([True, True, False, False] * 30) > 0.3
    assert _chance(([True] * 7 + [False] * 3) * 2000) == 1 / 400


def test_the_same_answer_for_every_text_shows_nothing() -> None:
    """However good its score is, it would be as good in any order."""
    targets = ["no"] * 95 + ["yes"] * 5
    columns = {"text": ("t",) * 100, "label": targets}
    predictions = np.tile(np.array([[1, 0]], dtype=np.float32), (100, 1))
    assert chance_of_score(SINGLE, "accuracy", predictions, columns, TWO) == 1.0


def test_numbers_are_put_in_random_order_and_the_tags_of_a_text_are_not() -> None:
    """A correlation has a chance; tags belong to the words of their own text."""
    columns = labelled("regression", 30)
    definition = REGRESSION.define(columns, "here", {})
    values = np.array(columns["label"], dtype=np.float32)[:, None]
    assert chance_of_score(REGRESSION, "spearman", values, columns, definition) == 1 / 400
    columns = labelled("tagging", 10)
    definition = TAGGING.define(columns, "here", {})
    predictions = np.zeros(TAGGING.shape(columns, definition), dtype=np.float32)
    assert chance_of_score(TAGGING, "f1", predictions, columns, definition) is None
