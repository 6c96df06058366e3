"""Searches that a sampler picks the settings of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import MissingExtraError
from taskbank.pipeline.train_and_store import Added
from taskbank.training.loop import Epoch
from tests.helpers.training import GRID, Interrupt, add, interrupt_after


@pytest.mark.slow
def test_a_sampler_tries_as_many_settings_as_asked_and_the_best_from_every_seed(
    own: Bank, small: str, folder: Path
) -> None:
    """Optuna picks; the same seed picks the same; the further seeds go to the best setting."""
    first = add(own, small, folder, search=GRID, trials=3, seeds=2)
    again = add(own, small, folder, search=GRID, trials=3, seeds=2, new_version=True)
    assert len(first.trials) == 4
    assert [t.specification for t in first.trials] == [t.specification for t in again.trials]
    assert first.record.digest == again.record.digest
    assert [t.training["seed"] for t in first.trials] == [0, 0, 0, 1]


@pytest.mark.slow
def test_a_trial_that_is_behind_is_given_up(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pruned trial is recorded as one, with the epochs it had, and is never the best."""
    calls: list[Epoch] = []

    def prune(epoch: Epoch, *_: object) -> bool:
        calls.append(epoch)
        return len(calls) == 1

    import optuna

    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: prune(Epoch(1, 0, 0, 0)))
    added = add(own, small, folder, search=GRID, trials=2)
    assert [t.status for t in added.trials] == ["pruned", "complete"]
    assert len(added.trials[0].course["epochs"]) == 1
    assert added.trial.status == "complete"


@pytest.mark.slow
def test_a_sampler_picks_no_setting_twice_and_ends_when_all_were_tried(
    own: Bank, small: str, folder: Path
) -> None:
    """More trials than there are settings are as many as there are settings."""
    grid = {"size": (2, 4), "learning_rate": (0.01, 0.02)}
    added = add(own, small, folder, search=grid, trials=9, training={"epochs": 1})
    chosen = [(t.options["size"], t.training["learning_rate"]) for t in added.trials]
    assert sorted(chosen[:4]) == [(2, 0.01), (2, 0.02), (4, 0.01), (4, 0.02)]
    assert all(t.training["seed"] > 0 for t in added.trials[4:])


@pytest.mark.slow
def test_a_large_grid_costs_nothing_where_a_sampler_picks(
    own: Bank, small: str, folder: Path
) -> None:
    """A million settings are never made where one is tried."""
    hundred = tuple(range(1, 101))
    grid = {"size": hundred, "batch_size": hundred, "max_length": tuple(range(5, 60))}
    added = add(own, small, folder, search=grid, trials=1, training={"epochs": 1})
    assert len(added.trials) <= 3


PRUNING: dict[str, Any] = {
    "search": {"size": (2, 4, 8), "learning_rate": (0.001, 0.02)},
    "trials": 5,
    "rows": 64,  # enough to be interrupted
    "metric": "log_loss",
    "training": {"epochs": 4},
}


@contextmanager
def _pruning() -> Iterator[None]:
    """Let Optuna prune by everything that was reported before, as the median does."""
    import optuna

    heard: dict[int, list[float]] = {}

    def report(trial: optuna.Trial, value: float, step: int) -> None:
        heard.setdefault(trial.number, []).append(value)

    def behind(trial: optuna.Trial) -> bool:
        own_best = max(heard[trial.number])
        others = [max(v) for n, v in heard.items() if n < trial.number and len(v) > 1]
        return len(heard[trial.number]) > 1 and bool(others) and own_best <= max(others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.Trial, "report", report)
        patch.setattr(optuna.Trial, "should_prune", behind)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small: str, folder: Path) -> Added:
    """A search that prunes and was not interrupted."""
    with create_bank(f"sqlite:///{tmp_path_factory.mktemp('whole')}/whole.db") as bank, _pruning():
        return add(bank, small, folder, **PRUNING)


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [2, 4, 5, 7, 9, 11, 13])
def test_an_interrupted_sampler_is_resumed_to_the_same_trials(
    own: Bank,
    whole: Added,
    small: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    """A search that prunes, killed anywhere, tries and prunes the same after it was resumed."""
    assert "pruned" in [t.status for t in whole.trials]
    with monkeypatch.context() as patch, _pruning():
        interrupt_after(patch, epochs)
        with pytest.raises(Interrupt):
            add(own, small, folder, **PRUNING)
    with _pruning():
        again = add(own, small, folder, resume=True, **PRUNING)
    assert [(t.specification, t.status) for t in again.trials] == [
        (t.specification, t.status) for t in whole.trials
    ]
    assert again.record.digest == whole.record.digest


def test_a_missing_sampler_is_named_with_its_extra(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without optuna, `--trials` says what to install, before anything is read or trained."""
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[search\]"):
        add(own, "nowhere.csv", folder, search=GRID, trials=2)
