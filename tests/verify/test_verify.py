"""Verification: what is well is said to be well, and every change is found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.verification_log import VerificationLog
from taskbank.errors import (
    BackboneMismatchError,
    BankError,
    DamagedError,
)
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.train_and_store import Added
from taskbank.serve.predict_rows import predict
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import identity, new_adapter
from tests.helpers.backbones import make_backbone
from tests.helpers.findings import messages
from tests.helpers.tampering import nudge, replica, reseal, swap

JSON_KEYS = {"ok", "level", "checked", "findings", "tasks"}
TASK_KEYS = {
    "task",
    "version",
    "status",
    "metric",
    "recorded",
    "observed",
    "flips",
    "examples",
}


def test_an_untouched_bank_verifies_and_the_run_is_recorded(mood: Bank) -> None:
    """Nothing is found, nothing flips, the scores are the recorded ones, to the last digit."""
    report = verify_all(mood)
    assert report.ok, messages(report)
    (result,) = report.tasks
    assert (result.status, result.recorded) == ("ok", result.observed)
    assert (result.flips, result.examples, result.shift) == (0, 96, 0.0)
    recorded = mood.verification_log.verifications()[-1]
    assert (recorded.id, recorded.ok, recorded.level) == (report.id, True, "full")
    assert mood.verification_log.results(verification=recorded.id)[0].status == "ok"
    assert set(report.to_json()) >= JSON_KEYS
    assert set(report.to_json()["tasks"][0]) >= TASK_KEYS
    json.dumps(report.to_json())


@pytest.mark.slow
def test_weights_that_predict_otherwise_are_a_regression(mood: Bank) -> None:
    """A head with its classes swapped passes every digest, and is caught by its predictions,
    example by example."""

    def swap(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.weight"] = tensors["head.weight"][::-1].copy()
        tensors["head.bias"] = tensors["head.bias"][::-1].copy()

    reseal(mood, swap, "weights")
    assert verify_all(mood, level="integrity").ok
    report = verify_all(mood)
    (result,) = report.tasks
    assert result.status == "regressed"
    assert result.flips == result.examples == 96
    assert result.observed == pytest.approx(1 - result.recorded)
    assert {f.check for f in report.findings} == {"regression"}
    assert result.flipped[0].recorded != result.flipped[0].observed
    assert result.negative_flips == round(96 * (1 - result.positive_flips / 96))
    assert result.p_value < 1e-6
    # Chance does not explain it, so that no tolerance lets it pass.
    assert not verify_all(mood, tolerance=1.0).ok


@pytest.mark.slow
def test_a_small_change_that_flips_nothing_is_shown_but_is_no_regression(mood: Bank) -> None:
    """Where no label flips, the shift of the logits says how much changed."""

    def nudge(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = tensors["head.bias"] + np.float32(1e-3)

    reseal(mood, nudge, "weights")
    report = verify_all(mood)
    assert report.ok
    assert report.tasks[0].status == "changed"
    assert report.tasks[0].shift == pytest.approx(1e-3, rel=0.01)
    assert report.tasks[0].noise < 1e-4
    assert verify_all(mood, strict=True).ok


@pytest.mark.slow
def test_references_that_do_not_belong_to_the_examples_are_damage(mood: Bank) -> None:
    """Shuffled reference predictions contradict the recorded metrics, and that is said."""

    def shuffle(tensors: dict[str, np.ndarray]) -> None:
        tensors["logits"] = np.roll(tensors["logits"], 1, axis=0).copy()

    reseal(mood, shuffle, "logits")
    report = verify_all(mood)
    assert report.tasks[0].status == "damaged"
    assert "the stored predictions do not match the examples" in messages(report)


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_a_regression(mood: Bank) -> None:
    """NaN never passes: every example counts as flipped."""

    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.full_like(tensors["head.bias"], np.nan)

    reseal(mood, spoil, "weights")
    report = verify_all(mood)
    assert (report.tasks[0].status, report.tasks[0].flips) == ("regressed", 96)
    assert report.tasks[0].shift is None
    with pytest.raises(DamagedError, match="mood@1 produced NaN or infinity for input 1"):
        predict(mood, "mood", ["good"])
    assert report.id is not None


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 5, 64])
def test_batches_and_threads_make_no_finding(
    mood: Bank, monkeypatch: pytest.MonkeyPatch, threads: int, batch: int
) -> None:
    """An untouched bank verifies whatever the batch size and the number of threads."""
    monkeypatch.setattr("taskbank.model.predict.EVALUATION_BATCH", batch)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        report = verify_all(mood)
    finally:
        torch.set_num_threads(before)
    assert report.ok, messages(report)
    assert report.tasks[0].shift < 1e-4


@pytest.mark.slow
def test_a_backbone_that_cannot_be_loaded_is_one_finding(
    tmp_path: Path, folder: Path, data: Path
) -> None:
    """A backbone that is gone, or another one, makes its tasks unverifiable, by name; given
    where it is now, they verify."""
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    url = f"sqlite:///{tmp_path}/bank.db"
    for name in ("one", "two"):
        add_task(
            url,
            name,
            str(data / "train.jsonl"),
            backbone=str(place),
            options={"size": 4},
            training={"epochs": 1},
        )
    with Bank(url) as bank:
        shutil.rmtree(place)
        gone = verify_all(bank)
        make_backbone(place, seed=1)
        other = verify_all(bank)
        for report in (gone, other):
            assert [task.status for task in report.tasks] == ["unverifiable"] * 2
            (finding,) = report.findings
            assert finding.check == "backbone"
            assert "one@1, two@1" in finding.message
        assert "weights is sha256" in other.findings[0].message
        with pytest.raises(BackboneMismatchError):
            verify_all(bank, backbone=str(place))
        assert verify_all(bank, backbone=str(folder)).ok
        assert verify_all(bank, level="integrity").ok


def test_verifying_changes_nothing_but_its_own_record(mood: Bank) -> None:
    """Adapters, blobs and aliases are the same before and after."""
    before = mood.adapters(), list(mood._blobs.sizes()), mood.aliases("mood")
    verify_all(mood)
    assert (mood.adapters(), list(mood._blobs.sizes()), mood.aliases("mood")) == before


def test_a_bank_without_adapters_is_a_finding(bank: Bank) -> None:
    """Nothing was verified, so nothing is said to be well; a retired adapter does not count."""
    (found,) = verify_all(bank, level="integrity").findings
    assert found.check == "empty"
    assert "no adapters in use, so nothing was verified: add one with" in found.message
    bank.put(new_adapter())
    assert verify_all(bank, level="integrity").ok
    bank.remove("mood@1")
    assert [found.check for found in verify_all(bank, level="integrity").findings] == ["empty"]


def test_a_bank_that_cannot_be_written_to_is_still_reported_on(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the record of the run cannot be kept, the report says so and stands."""

    def refuse(*_arguments: object) -> None:
        raise BankError("the bank reported an error: attempt to write a readonly database")

    monkeypatch.setattr(VerificationLog, "record", refuse)
    report = verify_all(mood, level="integrity")
    assert report.ok
    assert (report.id, "readonly" in str(report.unrecorded)) == (None, True)


@pytest.mark.slow
def test_adapters_of_different_backbones_are_verified_each_with_its_own(
    mood: Bank, trained: tuple[Path, Added], data: Path, tmp_path: Path
) -> None:
    """A bank with two backbones loads both, and an adapter without any is unverifiable."""
    other = make_backbone(tmp_path / "other", seed=5)
    add_task(
        mood,
        "again",
        str(data / "train.jsonl"),
        backbone=str(other),
        options={"size": 4},
        training={"epochs": 1},
    )
    assert verify_all(mood).ok
    assert len({r.backbone for r in mood}) == 2
    mood.put(new_adapter("lost", backbone=identity("nowhere")))
    statuses = {task.task: task.status for task in verify_all(mood).tasks}
    assert statuses == {"mood": "ok", "again": "ok", "lost": "unverifiable"}


def test_verification_leaves_a_loaded_backbone_as_it_was(mood: Bank, folder: Path) -> None:
    """Attaching and predicting many times never touches the backbone's tensors."""
    loaded = load_backbone(str(folder))
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    from taskbank.model.load import load_model

    for _ in range(3):
        model = load_model(mood, mood["mood"], loaded)
        assert not model.training
    after: dict[str, Any] = loaded.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


# changed


@pytest.mark.slow
def test_what_has_not_changed_is_not_predicted_again(mood: Bank, predicted: list[int]) -> None:
    """At level `changed` the first verification predicts, the next points at it; a new adapter is
    predicted, the others are not."""
    first = verify_all(mood, level="changed")
    assert (first.ok, first.confirmed, sum(predicted)) == (True, 0, 96)
    predicted.clear()
    second = verify_all(mood, level="changed")
    (result,) = second.tasks
    assert (second.ok, second.confirmed, predicted) == (True, 1, [])
    assert (result.status, result.confirmed_by) == ("ok", first.id)
    assert result.observed == first.tasks[0].observed
    mood.put(replica(mood, "other", nudge))
    third = verify_all(mood, level="changed")
    assert [task.confirmed_by for task in third.tasks] == [first.id, None]
    mood.put(replica(mood, "same"))  # the same bytes under another name predict the same
    fourth = verify_all(mood, ["same"], level="changed")
    assert [task.confirmed_by for task in fourth.tasks] == [first.id]
    # What is vouched for adds no row, so that a bank of many tasks does not grow by itself.
    log = mood.verification_log
    rows = [log.results(verification=one.id) for one in (first, second, third)]
    assert [len(own) for own in rows] == [1, 0, 1]
    assert {one.id: one.confirmed for one in log.verifications()}[second.id] == 1


@pytest.mark.slow
def test_a_full_verification_vouches_too_and_one_that_found_something_does_not(
    mood: Bank, predicted: list[int]
) -> None:
    """What was `ok` or `changed` is so still, as long as no more is asked for; what regressed is
    predicted again every time."""
    mood.put(replica(mood, "nudged", nudge))
    mood.put(replica(mood, "swapped", swap))
    full = verify_all(mood)
    assert [task.status for task in full.tasks] == ["ok", "changed", "regressed"]
    predicted.clear()
    again = verify_all(mood, level="changed")
    assert [task.confirmed_by for task in again.tasks] == [full.id, full.id, None]
    assert [task.status for task in again.tasks] == ["ok", "changed", "regressed"]
    assert sum(predicted) == 96
    predicted.clear()
    strict = verify_all(mood, ["mood", "nudged"], level="changed", strict=True)
    assert [task.confirmed_by for task in strict.tasks] == [full.id, None]
    assert sum(predicted) == 96
