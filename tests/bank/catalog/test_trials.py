"""The recorded trials of a task."""

from __future__ import annotations

import taskbank
from taskbank.bank.bank import Bank
from tests.helpers.adapters import new_trial


def test_the_trials_of_a_task_are_those_recorded(bank: Bank) -> None:
    """On either database: oldest first, of equal specifications the last row, by task."""
    bank.put_trial(new_trial(seed=1, score=0.1))
    bank.put_trial(new_trial("other", seed=2))
    bank.put_trial(new_trial(seed=1, score=0.2))
    assert [(t.task, t.score) for t in bank.trials("mood")] == [("mood", 0.2)]
    assert len(bank.trials()) == 2
    (found,) = bank.trials("mood")
    assert found.value("test") == new_trial(seed=1).metrics[0].value
    assert [f.check for f in taskbank.verify_all(bank, level="integrity").findings] == ["empty"]
