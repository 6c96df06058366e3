"""The matrix of what was seen of each task after each addition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.history.events import bank_events
from taskbank.history.matrix import score_matrix
from tests.helpers.adapters import new_adapter
from tests.helpers.verifications import observe


def test_the_matrix_is_what_was_seen_after_each_task(bank: Bank) -> None:
    """A row holds what verifications saw before the next task was added; what they did not look
    at stays as it was, a new version takes its task's place, and nothing is known before."""
    first = bank.put(new_adapter("first"))
    observe(bank, first=first.score - 0.1)
    second = bank.put(new_adapter("second", seed=1))
    third = bank.put(new_adapter("third", seed=2))
    observe(bank, first=first.score, second=second.score - 0.2)
    again = bank.put(new_adapter("first", seed=5), new_version=True)
    gone = bank.put(new_adapter("gone", seed=3))
    bank.remove(gone.ref)
    found = score_matrix(bank)
    assert found.tasks == ("first", "second", "third")
    assert set(found.metrics) == {"accuracy"}
    expected = [
        [first.score - 0.1, None, None],
        [first.score - 0.1, second.score, None],
        [again.score, second.score - 0.2, third.score],
    ]
    assert found.to_json()["scores"] == [pytest.approx(row) for row in expected]
    measures = found.measures()
    assert measures["average_accuracy"] == pytest.approx(np.mean(expected[-1]))
    assert measures["forward_transfer"] is None
    assert measures["backward_transfer"] == pytest.approx(
        np.mean([again.score - first.score + 0.1, -0.2])
    )


def test_a_retired_version_does_not_count(bank: Bank) -> None:
    """What a version scored that is out of use now is no score of its task."""
    first = bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    observe(bank, mood=0.123)
    bank.remove("mood@2")
    assert score_matrix(bank).scores.tolist() == [[first.score]]


def test_a_loss_is_the_better_the_lower_it_is(bank: Bank) -> None:
    """What grew is forgotten, where the metric is a loss."""
    loss = next(m.value for m in new_adapter().metrics if m.name == "log_loss")
    bank.put(replace(new_adapter("mood"), metric="log_loss"))
    bank.put(new_adapter("other", seed=1))
    observe(bank, mood=loss + 0.5)
    measures = score_matrix(bank).measures()
    assert measures["forgetting"] == pytest.approx(0.5)
    assert measures["backward_transfer"] == pytest.approx(-0.5)


def test_an_empty_bank_has_an_empty_matrix(bank: Bank) -> None:
    """Nothing is measured where there is nothing."""
    found = score_matrix(bank)
    assert (found.tasks, found.scores.shape) == ((), (0, 0))
    assert set(found.measures().values()) == {None}
    assert bank_events(bank) == []
