"""Shadows are compared with what was answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from taskbank.serve import comparison
from taskbank.serve.comparison import Comparisons
from taskbank.serve.prediction import Prediction


def job(version: int, *goods: float, task: str = "mood") -> Any:
    """Return what a finished job holds: probabilities of the label `good`."""
    predictions = [
        Prediction(
            "x", None, "good" if p > 0.5 else "bad", p, {"probabilities": {"good": p, "bad": 1 - p}}
        )
        for p in goods
    ]
    return SimpleNamespace(
        record=SimpleNamespace(task=task, version=version), predictions=predictions
    )


def test_equal_labels_and_moves_are_counted() -> None:
    """Inputs, equal labels, close probabilities and moves add up over requests."""
    found = Comparisons()
    assert found.add(job(1, 0.9, 0.6), job(2, 0.88, 0.4)) == 1
    assert found.add(job(1, 0.1), job(2, 0.1)) == 1
    (row,) = found.of("mood")
    assert (row["version"], row["shadow"], row["rows"], row["close"]) == (1, 2, 3, 2)
    assert row["agreement"] == pytest.approx(2 / 3)
    assert row["agreement_low"] < row["agreement"] < row["agreement_high"]
    assert row["most_moved"] == pytest.approx(0.2)
    assert row["mean_moved"] == pytest.approx(0.22 / 3)
    assert found.of("other") == []


def test_answers_without_probabilities_are_compared_by_their_score() -> None:
    """A number moves by its difference."""
    one, other = job(1, 0.0), job(2, 0.0)
    one.predictions = [Prediction("x", None, "3", 3.0)]
    other.predictions = [Prediction("x", None, "5", 5.0)]
    found = Comparisons()
    assert found.add(one, other) == 0
    assert found.of("mood")[0]["most_moved"] == 2.0


def test_the_number_of_comparisons_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has compared very many versions forgets them rather than grow."""
    monkeypatch.setattr(comparison, "KEPT", 3)
    found = Comparisons()
    for version in range(1, 6):
        found.add(job(version, 0.9), job(version + 1, 0.9))
    assert 0 < len(found.of("mood")) <= 3
