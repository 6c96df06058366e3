"""Searches: every trial is recorded, and the best by validation becomes the adapter."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, Parent
from taskbank.errors import TrainingError
from taskbank.runtime.disk_cache import cache_folder
from taskbank.specs import TaskSpec
from taskbank.training import tune as tuning
from taskbank.training.loop import train
from taskbank.training.plan import plan_task
from taskbank.training.search import Search
from taskbank.training.trial import Trial
from taskbank.training.tune import fit_to_backbone, tune
from tests.helpers.training import BASE, GRID, Interrupt, add, interrupt_after

ROWS = 64  # enough to be interrupted


@pytest.mark.slow
def test_a_search_records_every_trial_and_the_best_one_as_the_adapter(
    url: str, small: str, folder: Path, data: Path
) -> None:
    """On either database: a row a trial with its score, the adapter of the best by validation,
    whose bytes are those of the same setting trained alone, and no other weights."""
    validation = str(data / "validation.jsonl")  # not drawn by the seed
    with create_bank(url) as bank:
        added = add(bank, small, folder, validation=validation, search=GRID, seeds=2)
        assert len(added.trials) == len(bank.trials("mood")) == 8
        assert [t.training["seed"] for t in added.trials] == [0, 1] * 4
        best = max(t.score for t in added.trials)
        assert added.trial.score == added.record.score == best
        assert added.record.training == added.trial.training
        assert all(t.digest is None for t in added.trials)
        alone = add(
            bank,
            small,
            folder,
            new_version=True,
            validation=validation,
            training={
                "learning_rate": added.trial.training["learning_rate"],
                "seed": added.trial.training["seed"],
            },
            options={"size": added.trial.options["size"]},
        )
        assert alone.record.digest == added.record.digest
        assert taskbank.verify_all(bank).ok


@pytest.mark.slow
def test_the_test_split_is_scored_for_the_best_trial_alone(
    own: Bank, small: str, folder: Path, data: Path
) -> None:
    """What is chosen among never sees the split that gives the score."""
    added = add(own, small, folder, search={"size": (2, 4)}, test=str(data / "test.jsonl"))
    scored = [t for t in own.trials("mood") if t.value("test") is not None]
    assert [t.specification for t in scored] == [added.trial.specification]
    assert added.record.score == scored[0].value("test")
    with own._engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM trials").scalar()
    assert rows == 2 + 1  # the last is the best once more, with the score of test


@pytest.mark.slow
def test_kept_trials_can_be_read_and_outlive_a_garbage_collection(
    own: Bank, small: str, folder: Path
) -> None:
    """With `keep_trials` the weights of every trial are in the bank, and are those trained."""
    added = add(own, small, folder, search={"size": (2, 4)}, keep_trials=True)
    own.gc(confirm=True)
    sizes = {
        own.state_dict(trial)["adapter.0.attention.down.weight"].shape[0] for trial in added.trials
    }
    assert sizes == {2, 4}
    own_weights = own.state_dict(added.record)
    kept = own.state_dict(added.trial)
    assert all(torch.equal(kept[name], own_weights[name]) for name in own_weights)


@pytest.mark.slow
def test_a_setting_that_diverges_does_not_end_a_search(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded as diverged; where every one diverges, that is an error and no adapter."""
    from taskbank.training import trainer

    real = train

    def diverging(model: Any, kind: Any, definition: Any, data: Any, *rest: Any, **kw: Any) -> Any:
        if rest[1].learning_rate > 0.01:
            raise TrainingError("training diverged: the mean loss is nan")
        return real(model, kind, definition, data, *rest, **kw)

    monkeypatch.setattr(trainer, "train", diverging)
    added = add(own, small, folder, search={"learning_rate": (0.005, 0.02)})
    assert sorted(t.status for t in added.trials) in (
        ["complete", "diverged"],
        ["collapsed"] * 3 + ["diverged"],
    )
    with pytest.raises(TrainingError, match="diverged"):
        add(own, small, folder, new_version=True)
    assert len(own) == 1
    assert taskbank.verify_all(own).ok


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small: str, folder: Path) -> AdapterRecord:
    """The adapter of a search that was not interrupted."""
    with create_bank(f"sqlite:///{tmp_path_factory.mktemp('whole')}/whole.db") as bank:
        return add(bank, small, folder, rows=ROWS, search=GRID).record


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 8, 12])
def test_an_interrupted_search_is_resumed_to_the_same_bytes(
    own: Bank,
    whole: AdapterRecord,
    small: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    """Wherever it was killed, the resumed search ends with the adapter of an uninterrupted one,
    trains no finished trial again, and leaves no state behind."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs)
        with pytest.raises(Interrupt):
            add(own, small, folder, rows=ROWS, search=GRID)
    assert len(own) == 0
    before = len(own.trials("mood"))
    assert before == (epochs - 1) // 3
    added = add(own, small, folder, rows=ROWS, resume=True, search=GRID)
    assert added.record.digest == whole.digest
    assert added.record.training == whole.training
    with own._engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM trials").scalar()
    assert rows == 4
    assert list((cache_folder() / "checkpoints").glob("*")) == []


@pytest.mark.parametrize(
    ("given", "used"), [(None, "bfloat16"), ("bfloat16", "bfloat16"), ("float32", "float32")]
)
def test_the_precision_is_the_fastest_unless_one_is_given(
    backbone: Backbone,
    small: str,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    used: str,
) -> None:
    """What the device is fastest in is only the default."""
    monkeypatch.setattr(tuning, "fastest_precision", {"cpu": "bfloat16"}.__getitem__)
    plan = plan_task(TaskSpec("mood", small, training={"precision": given}))
    assert fit_to_backbone(plan, backbone).training.precision == used


@pytest.mark.parametrize(
    ("score", "loss", "wins"), [(0.9, 0.2, True), (0.9, 0.4, False), (0.8, 0.2, False)]
)
def test_a_start_wins_by_its_score_and_its_loss(score: float, loss: float, wins: bool) -> None:
    """A better score with a worse loss, or the same score with a better one, is not enough."""
    parents = (Parent("mood@1", "sha256:00"),)
    plan = SimpleNamespace(
        metric="accuracy", search=Search(), starts=[SimpleNamespace(parents=parents)]
    )
    trainer = SimpleNamespace(
        plan=plan,
        run=lambda setting, *_: (
            Trial(setting, "from", "complete", score, loss)
            if setting.parents
            else Trial(setting, "untrained", "complete", 0.8, 0.3)
        ),
        ensure_weights=lambda trial: trial,
    )
    best, trials = tune(trainer, BASE)
    assert [trial.specification for trial in trials] == ["untrained", "from"]
    assert best.specification == ("from" if wins else "untrained")
