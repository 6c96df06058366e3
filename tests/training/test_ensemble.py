"""An ensemble is the combination of plain trainings, as one version, however it was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import describe_ensemble
from taskbank.errors import InputError, TrainingError
from taskbank.kinds.calibration import temperature_of
from taskbank.kinds.single import SINGLE
from taskbank.model.ensemble import split_tensors
from taskbank.runtime.disk_cache import cache_folder
from taskbank.specs import TaskSpec, TrainingSpec
from taskbank.training.loop import train
from taskbank.training.plan import plan_task
from taskbank.training.search import RETRY_STRIDE, Setting
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trial, trial_from_record
from taskbank.training.tune import fit_to_backbone
from tests.helpers.training import BASE, Interrupt, add, interrupt_after

ENSEMBLE: dict[str, Any] = {"training": {"ensemble": 2, "seed": 3}}


def checkpoints() -> list[Path]:
    """Return the states of trainings that are kept on the disk."""
    return sorted((cache_folder() / "checkpoints").glob("*.safetensors"))


def with_ensemble(seed: int, count: int) -> Setting:
    """Return a setting of an ensemble."""
    return replace(BASE, training=TrainingSpec(seed=seed, ensemble=count))


def test_the_seeds_of_members_follow_from_the_seed() -> None:
    """They are consecutive, no two ensembles of one size share one, and they stay in range."""
    assert with_ensemble(3, 1).members == (with_ensemble(3, 1),)
    found = [one.training for one in with_ensemble(3, 2).members]
    assert found == [TrainingSpec(seed=6), TrainingSpec(seed=7)]
    assert [one.training.seed for one in with_ensemble(4, 2).members] == [8, 9]
    assert {one.training.seed for one in with_ensemble(2**32 - 1, 3).members} == {
        2**32 - 3,
        2**32 - 2,
        2**32 - 1,
    }


def test_a_single_training_has_the_digest_that_it_had_before() -> None:
    """The new field is only recorded of ensembles."""
    assert "ensemble" not in TrainingSpec().to_json()
    assert TrainingSpec(ensemble=2).to_json()["ensemble"] == 2
    assert TrainingSpec(ensemble=2).digest != TrainingSpec().digest
    for wrong in (0, 101, True, 1.5, "2"):
        with pytest.raises(InputError, match=r"ensemble is .* whole number from 1 to 100"):
            TrainingSpec(ensemble=wrong)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("contrastive", [None, 6])
def test_the_members_are_the_trainings_of_their_seeds(
    own: Bank, small: str, data: Path, folder: Path, backbone: Backbone, contrastive: int | None
) -> None:
    """Bit for bit, from epochs and contrastively; the version predicts the mean of their
    probabilities, with a temperature of its own, and records what each reached."""
    training = {"epochs": 1 if contrastive else 2, "contrastive": contrastive}
    test = str(data / "test.jsonl")
    given: dict[str, Any] = {"test": test, "verify": "none"}
    added = add(own, small, folder, training=ENSEMBLE["training"] | training, **given)
    assert checkpoints() == []
    record = added.record
    outputs: dict[str, list[np.ndarray]] = {"validation": [], "test": []}
    assert record is not None
    parts = split_tensors(own.state_dict(record), 2)
    plan = added_plan(small, test, training)
    trainer = Trainer(backbone, plan)
    setting = fit_to_backbone(plan, backbone)
    course = record.course["members"]
    for seed, part, member in zip((6, 7), parts, course, strict=True):
        trial = trainer.run(setting.with_seed(seed))
        found = trainer.evaluate(trial)
        assert trial.weights is not None
        assert trial.weights.keys() == part.keys()
        assert all(torch.equal(trial.weights[name], part[name]) for name in part)
        assert (member["seed"], member["status"]) == (seed, "complete")
        assert (member["score"], member["loss"]) == (trial.score, trial.loss)
        assert member["best_epoch"] == trial.best_epoch
        for split in outputs:
            outputs[split].append(found.predictions[split])
    encoded: Any = None  # which classes do not need
    for split, of_members in outputs.items():
        combined = SINGLE.combine(of_members, encoded)
        np.testing.assert_allclose(own.reference(record, split), combined, rtol=1e-4, atol=1e-5)
    columns = plan.data.validation.columns
    reference = own.reference(record, "validation")
    tuned = SINGLE.tune(reference, columns, plan.data.definition)
    assert temperature_of(record.definition) == temperature_of(tuned)
    assert record.value("validation") == SINGLE.scores(reference, columns, tuned)["accuracy"]
    tensors = own.state_dict(record)
    assert record.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert record.parameters == 2 * sum(tensor.numel() for tensor in parts[0].values())
    assert trial_from_record(added.trial).members == added.training.trial.members


def added_plan(small: str, test: str, training: dict[str, Any]) -> Any:
    """Return the plan of one training of the task that `add` adds with the seed 3."""
    return plan_task(
        TaskSpec(
            "mood",
            small,
            test=test,
            options={"size": 4},
            training={"learning_rate": 0.02, "batch_size": 16, "seed": 3} | training,
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "epochs"), [(None, 3), (2, 7)])
def test_an_interrupted_ensemble_is_resumed_to_the_same_bytes(
    own: Bank,
    small: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folds: int | None,
    epochs: int,
) -> None:
    """Killed within the last member, or in the second fold: no finished epoch is trained again, and
    no state is left behind."""
    # A member that collapses would be trained again.
    monkeypatch.setattr("taskbank.training.trainer.has_collapsed", lambda *_given: False)
    given: dict[str, Any] = {"folds": folds, "verify": "none"}
    given["training"] = ENSEMBLE["training"] | {"epochs": 2}
    with create_bank(f"sqlite:///{tmp_path}/whole.db") as bank:
        whole = add(bank, small, folder, **given).record
    assert checkpoints() == []
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs)
        with pytest.raises(Interrupt):
            add(own, small, folder, **given)
    assert len(own) == len(own.trials("mood")) == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, (4 if folds is None else 12) - epochs + 1)
        resumed = add(own, small, folder, resume=True, **given).record
    assert resumed.digest == whole.digest
    assert resumed.metrics == whole.metrics
    assert checkpoints() == []


@pytest.mark.slow
def test_a_member_that_diverges_fails_the_ensemble_by_name(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer members than asked for are no answer, and no state is left behind."""
    from taskbank.training import trainer

    real = train

    def diverging(*values: Any, **more: Any) -> Any:
        if values[5].seed % 2:
            raise TrainingError("training diverged: the mean loss is nan")
        return real(*values, **more)

    monkeypatch.setattr(trainer, "train", diverging)
    with pytest.raises(TrainingError, match=r"member 2/2, from seed .*: training diverged"):
        add(own, small, folder, training={"ensemble": 2, "epochs": 1})
    assert len(own) == 0
    assert checkpoints() == []
    assert {trial.status for trial in own.trials("mood")} == {"diverged"}


def collapse(monkeypatch: pytest.MonkeyPatch, *seeds: int) -> None:
    """Let single trainings from some seeds count as collapsed."""
    real = Trainer._finished_trial

    def finished(own: Trainer, setting: Setting, *given: Any) -> Trial:
        trial = real(own, setting, *given)
        collapsed = setting.training.ensemble == 1 and setting.training.seed in seeds
        return replace(trial, status="collapsed") if collapsed else trial

    monkeypatch.setattr(Trainer, "_finished_trial", finished)


@pytest.mark.slow
def test_a_member_that_collapses_is_trained_again_from_another_seed(
    own: Bank, small: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The course has both trainings; killed during the second, it is resumed to the same bytes."""
    further = 6 + RETRY_STRIDE
    collapse(monkeypatch, 6)
    given: dict[str, Any] = {"training": ENSEMBLE["training"] | {"epochs": 2}, "verify": "none"}
    with create_bank(f"sqlite:///{tmp_path}/whole.db") as bank:
        whole = add(bank, small, folder, **given)
    assert whole.record is not None
    first, second = whole.record.course["members"]
    assert (first["seed"], first["status"], second["seed"]) == (further, "complete", 7)
    assert [(one["seed"], one["status"]) for one in first["discarded"]] == [(6, "collapsed")]
    assert "discarded" not in second
    assert trial_from_record(whole.trial).members == whole.training.trial.members
    assert checkpoints() == []
    shown = describe_ensemble(whole.record.training, whole.record.course, "accuracy")
    assert f"(seed {further}, chosen over seed 6)" in str(shown)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(Interrupt):
            add(own, small, folder, **given)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 6 - 3 + 1)
        resumed = add(own, small, folder, resume=True, **given).record
    assert resumed.digest == whole.record.digest
    assert checkpoints() == []


@pytest.mark.slow
def test_a_member_that_always_collapses_is_trained_three_times(
    own: Bank, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of the three is kept, and its status says what it is."""
    seeds = [7, 7 + RETRY_STRIDE, 7 + 2 * RETRY_STRIDE]
    collapse(monkeypatch, *seeds)
    training = ENSEMBLE["training"] | {"epochs": 1}
    record = add(own, small, folder, training=training, verify="none").record
    kept = record.course["members"][1]
    assert kept["status"] == "collapsed"
    tried = [kept, *kept["discarded"]]
    assert sorted(one["seed"] for one in tried) == seeds
    assert kept["score"] == max(one["score"] for one in tried)
    assert len(own.trials("mood")) == 1
    assert checkpoints() == []


def test_a_kind_that_cannot_combine_outputs_is_refused(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin from before there were ensembles is named before anything is trained."""
    monkeypatch.delattr("taskbank.kinds.classification.Classification.combine")
    for given in ({"training": {"ensemble": 3}}, {"search": {"ensemble": [1, 3]}}):
        with pytest.raises(InputError, match="kind 'single' has no method 'combine': an ensemble"):
            plan_task(TaskSpec.of({"name": "mood", "train": small, **given}))
    assert plan_task(TaskSpec.of({"name": "mood", "train": small}))


@pytest.mark.slow
def test_a_search_chooses_between_one_training_and_several(
    own: Bank, small: str, folder: Path
) -> None:
    """Sizes of ensembles can be searched; the better by validation is stored, and verifies."""
    given: dict[str, Any] = {"search": {"ensemble": (1, 2)}, "training": {"epochs": 2}}
    added = add(own, small, folder, verify="none", **given)
    counts = [trial.training.get("ensemble", 1) for trial in added.trials]
    assert counts == [1, 2]
    assert added.record is not None
    assert added.record.ensemble == added.trial.training.get("ensemble", 1)
    assert taskbank.verify_all(own).ok
    assert checkpoints() == []


def test_a_head_alone_is_no_ensemble(small: str) -> None:
    """Trainings on vectors that no seed changes hardly differ: also in a search it is refused."""
    for given in ({"training": {"ensemble": 3}}, {"search": {"ensemble": [1, 3]}}):
        with pytest.raises(InputError, match="ensemble is 3 and the method is 'linear'"):
            plan_task(TaskSpec.of({"name": "mood", "train": small, "method": "linear", **given}))
