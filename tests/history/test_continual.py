"""Transfer and forgetting, from a matrix."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from taskbank.history.continual import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
)

REFERENCE = json.loads((Path(__file__).parent / "continual_reference.json").read_text())


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: f"{len(case['scores'])} tasks")
def test_the_measures_are_those_of_avalanche(case: dict[str, list[list[float]]]) -> None:
    """On the same matrix backward and forward transfer are what Avalanche computes; what it calls
    forgetting is minus the backward transfer."""
    scores, untrained = np.array(case["scores"]), np.array(case["untrained"])
    assert backward_transfer(scores) == pytest.approx(case["backward_transfer"])
    assert forward_transfer(scores, untrained) == pytest.approx(case["forward_transfer"])
    assert -backward_transfer(scores) == pytest.approx(case["forgetting"])


def test_forgetting_is_from_the_best_there_ever_was() -> None:
    """A task that got better before it got worse has forgotten more than it lost since it was
    added; one that never was better has forgotten what Avalanche says."""
    rose = np.array([[0.5, np.nan, np.nan], [0.9, 0.8, np.nan], [0.6, 0.7, 0.4]])
    assert forgetting(rose) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)
    assert backward_transfer(rose) == pytest.approx(((0.6 - 0.5) + (0.7 - 0.8)) / 2)
    fell = np.array([[0.9, np.nan], [0.7, 0.8]])
    assert forgetting(fell) == pytest.approx(-backward_transfer(fell)) == pytest.approx(0.2)
    assert average_accuracy(rose) == pytest.approx((0.6 + 0.7 + 0.4) / 3)


def test_a_single_task_transfers_nothing() -> None:
    """There is no other task that could have changed it, and none before it."""
    one = np.array([[0.7]])
    assert average_accuracy(one) == 0.7
    assert backward_transfer(one) is forgetting(one) is None
    assert forward_transfer(one, np.array([0.5])) is None
    assert forward_transfer(np.array([[0.7, np.nan], [0.7, 0.8]]), np.array([0.5, 0.5])) is None
