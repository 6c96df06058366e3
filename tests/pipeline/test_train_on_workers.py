"""A search whose settings are trained on workers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import ConflictError, InputError
from taskbank.pipeline.add_task import add_task
from taskbank.specs import TaskSpec
from taskbank.training.trainer import Trainer
from taskbank.workers.worker import Worker
from tests.helpers.jobs import Backwards

ENSEMBLES: dict[str, Any] = {
    "search": {"learning_rate": [1e-2, 3e-2]},
    "training": {"epochs": 2, "ensemble": 2},
}


def spec(small: str, **changes: Any) -> TaskSpec:
    """Return a search of three settings."""
    values: dict[str, Any] = {
        "name": "mood",
        "train": small,
        "rows": 64,
        "options": {"size": 4},
        "search": {"learning_rate": [1e-3, 1e-2, 3e-2]},
        "training": {"epochs": 1},
    }
    return TaskSpec.of(values | changes)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"seeds": 2}, {"folds": 2}, {"trials": 2}, ENSEMBLES])
def test_a_search_on_workers_stores_what_one_here_does(
    small: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    """The same best trial with the same bytes and metrics, the same trials, each trained once."""
    given: dict[str, Any] = {"backbone": str(folder), "verify": "none"}
    here = add_task(f"{tmp_path}/here.db", spec(small, **changes), **given)
    trained: list[str] = []
    real = Trainer._train

    def count(trainer: Trainer, *values: Any) -> Any:
        trained.append(values[1])
        return real(trainer, *values)

    monkeypatch.setattr(Trainer, "_train", count)
    place = "taskbank.pipeline.add_task.executor_for"
    monkeypatch.setattr(place, lambda _where, bank, **_: nullcontext(Backwards(Worker(bank))))
    monkeypatch.setattr("taskbank.pipeline.add_task.verify_after_adding", lambda *_, **__: None)
    there = add_task(f"{tmp_path}/there.db", spec(small, **changes), executor="ray", **given)
    assert here.record is not None and there.record is not None  # noqa: PT018
    assert there.record.digest == here.record.digest
    assert there.record.metrics == here.record.metrics
    assert [one.specification for one in there.trials] == [one.specification for one in here.trials]
    assert len(trained) == len(set(trained))
    with Bank(f"{tmp_path}/there.db") as bank:
        assert {one.specification for one in bank.trials("mood")} == {
            one.specification for one in here.trials
        }


def test_a_place_that_there_is_not_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """The data is not there either, and no bank is made."""
    with pytest.raises(InputError, match="'dask' is no place to run jobs"):
        add_task(f"{tmp_path}/bank.db", "mood", "nowhere.csv", backbone="nowhere", executor="dask")
    assert not list(tmp_path.glob("bank.db*"))


def test_a_name_that_is_taken_is_refused_before_a_cluster_is_asked(mood: Bank, small: str) -> None:
    """As without a cluster."""
    with pytest.raises(ConflictError, match="already has a task 'mood'"):
        add_task(mood, "mood", small, executor="ray")
