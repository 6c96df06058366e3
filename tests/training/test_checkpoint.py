"""A training that was interrupted: resumed, it is the same to the last bit."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.digests import digest_bytes, digest_json
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Kind
from taskbank.model.task_model import task_model
from taskbank.runtime.cache_trust import SIGNATURE_LENGTH, signer
from taskbank.runtime.disk_cache import CACHE, cache_folder
from taskbank.specs import TrainingSpec
from taskbank.training.checkpoint import Checkpoint, State
from taskbank.training.loop import Epoch, Training, train
from taskbank.training.prepared import PreparedSplit
from tests.helpers.models import prepared
from tests.helpers.rows import labelled

SPEC = TrainingSpec(epochs=4, learning_rate=0.02, batch_size=16)
DIGEST = digest_json("a training")
STATE = State({"now": torch.arange(6.0).reshape(2, 3).T, "random": torch.ones(2)}, {"epochs": [1]})


class Task:
    """A small task of a kind, that can be trained again and again."""

    def __init__(self, backbone: Backbone, name: str) -> None:
        self.backbone = backbone
        self.kind: Kind = plugins.load("kinds", name)
        columns = labelled(name, 48, seed=1)
        self.definition: Definition = self.kind.define(columns, "here", {})
        self.data = self._prepared(columns)
        self.validation = self._prepared(labelled(name, 16, seed=2))

    def _prepared(self, columns: Any) -> PreparedSplit:
        return prepared(self.backbone, self.kind, self.definition, columns)

    def train(self, spec: TrainingSpec = SPEC, **further: Any) -> tuple[Training, bytes]:
        """Train from the start or from a checkpoint; return the course and every trained byte."""
        torch.rand(3)  # whatever the caller's random state is, it does not matter
        method = {"size": 4}
        model = task_model(self.backbone, self.kind, self.definition, "houlsby", method, spec.seed)
        course = train(
            model,
            self.kind,
            self.definition,
            self.data,
            self.validation,
            spec,
            self.kind.metric,
            **further,
        )
        return course, save({n: t.contiguous() for n, t in model.trained_tensors().items()})


@pytest.fixture(scope="module", params=plugins.names("kinds"))
def task(request: pytest.FixtureRequest, backbone: Backbone) -> Task:
    """A task of each kind in turn."""
    return Task(backbone, request.param)


@pytest.fixture(scope="module")
def single(backbone: Backbone) -> Task:
    """A task of the kind `single`."""
    return Task(backbone, "single")


class Stop(Exception):
    """What interrupts a training in these tests."""


def after_epochs(count: int) -> Any:
    """Return what stops a training when some epochs are over and kept."""

    def stop(epoch: Epoch) -> bool:
        if epoch.number == count:
            raise Stop
        return False

    return stop


def same(one: Training, other: Training) -> bool:
    """Return whether two trainings went the same way, but for their duration."""
    parts = ("epochs", "best", "definition", "pruned")
    return all(getattr(one, part) == getattr(other, part) for part in parts) and (
        one.predictions.tobytes() == other.predictions.tobytes()
    )


@pytest.mark.slow
def test_a_resumed_training_is_the_same_to_the_last_bit(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after any epoch, or in the middle of one, then resumed: the same epochs,
    predictions and bytes as a training that was not, dropout and all."""
    course, expected = task.train()
    again, once_more = task.train()
    assert once_more == expected
    assert same(again, course)
    checkpoint = Checkpoint(DIGEST, resume=True)
    for epochs in range(1, SPEC.epochs + 1):
        with pytest.raises(Stop):
            task.train(checkpoint=checkpoint, should_prune=after_epochs(epochs))
        resumed, found = task.train(checkpoint=checkpoint)
        assert found == expected
        assert same(resumed, course)
        checkpoint.remove()
    _stop_at_step(monkeypatch, 2 * 3 + 2)  # in the third epoch of three steps
    with pytest.raises(Stop):
        task.train(checkpoint=checkpoint)
    monkeypatch.undo()
    resumed, found = task.train(checkpoint=checkpoint)
    assert found == expected
    assert same(resumed, course)


def _stop_at_step(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real, seen = torch.optim.AdamW.step, []

    def step(optimizer: torch.optim.AdamW, *arguments: Any) -> Any:
        seen.append(1)
        if len(seen) == number:
            raise Stop
        return real(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)


@pytest.mark.slow
def test_a_training_is_resumed_and_not_run_again(
    single: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done before is not done twice, and its time is counted."""
    checkpoint = Checkpoint(DIGEST, resume=True)
    with pytest.raises(Stop):
        single.train(checkpoint=checkpoint, should_prune=after_epochs(3))
    state = checkpoint.load()
    assert state is not None
    checkpoint.save(replace(state, values={**state.values, "seconds": 1000.0}))
    _stop_at_step(monkeypatch, 3 + 1)  # one epoch is left
    course, _ = single.train(checkpoint=checkpoint)
    assert len(course.epochs) == SPEC.epochs
    assert 1000 < course.seconds < 1100


@pytest.mark.slow
def test_patience_counts_the_epochs_before_an_interruption(single: Task) -> None:
    """A resumed training ends early where an uninterrupted one does."""
    spec = replace(SPEC, epochs=30, patience=2)
    course, expected = single.train(spec)
    assert len(course.epochs) < 30
    checkpoint = Checkpoint(DIGEST, resume=True)
    with pytest.raises(Stop):
        single.train(spec, checkpoint=checkpoint, should_prune=after_epochs(len(course.epochs) - 1))
    resumed, found = single.train(spec, checkpoint=checkpoint)
    assert (resumed.epochs, found) == (course.epochs, expected)


@pytest.mark.slow
def test_a_state_that_is_not_wanted_is_not_used(single: Task) -> None:
    """Without `resume` a training starts over, and keeps its own state all the same."""
    course, expected = single.train()
    checkpoint = Checkpoint(DIGEST, resume=False)
    checkpoint.save(STATE)  # nothing that a training could go on from
    again, found = single.train(checkpoint=checkpoint)
    assert (again.epochs, found) == (course.epochs, expected)
    state = Checkpoint(DIGEST, resume=True).load()
    assert state is not None
    assert len(state.values["epochs"]) == SPEC.epochs


# The file


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    """Tensors, values and nothing else; the file is where the environment says."""
    checkpoint = Checkpoint(DIGEST, resume=True)
    assert checkpoint.load() is None
    checkpoint.save(STATE)
    found = checkpoint.load()
    assert found is not None
    assert found.values == STATE.values
    assert found.tensors.keys() == STATE.tensors.keys()
    assert all(torch.equal(found.tensors[name], STATE.tensors[name]) for name in STATE.tensors)
    assert checkpoint.path.parent == tmp_path / "cache" / "checkpoints"
    assert [checkpoint.path] == list(checkpoint.path.parent.iterdir())
    checkpoint.remove()
    assert checkpoint.load() is None
    checkpoint.remove()


def _spoil(data: bytes, how: str) -> bytes:
    if how == "flipped":
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    forged: dict[str, bytes] = {
        "no tensors": b"rubbish",
        "no metadata": save({"a": torch.ones(1)}),
        "no values": save({"a": torch.ones(1)}, {"training": DIGEST}),
        "no json": save({"a": torch.ones(1)}, {"training": DIGEST, "values": "{"}),
        "no header": (2**62).to_bytes(8, "little") + b"{}",
    }
    if how in forged:
        signature = signer(cache_folder() / "checkpoints", "training")
        assert signature is not None
        signature.update(forged[how])
        return signature.hexdigest().encode() + forged[how]
    if how == "digest":  # as earlier versions wrote it, and as another user would
        body = data[SIGNATURE_LENGTH:]
        return digest_bytes(body).removeprefix("sha256:").encode() + body
    return {"cut": data[:-1], "half": data[: len(data) // 2], "empty": b"", "text": b"x" * 999}[how]


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        "flipped",
        "cut",
        "half",
        "empty",
        "text",
        "no tensors",
        "no metadata",
        "no values",
        "no json",
        "no header",
        "digest",
    ],
)
def test_a_damaged_file_is_said_and_training_starts_over(single: Task, how: str) -> None:
    """A file that is not as it was written is a warning that names it, and no more."""
    checkpoint = Checkpoint(DIGEST, resume=True)
    checkpoint.save(STATE)
    checkpoint.path.write_bytes(_spoil(checkpoint.path.read_bytes(), how))
    with pytest.warns(UserWarning, match=rf"{checkpoint.path.name} is damaged, .*starts over"):
        assert checkpoint.load() is None
    if how == "half":
        with pytest.warns(UserWarning, match="starts over"):
            _, found = single.train(checkpoint=checkpoint)
        assert found == single.train()[1]


@pytest.mark.slow
def test_a_file_of_another_training_is_said_and_not_used(single: Task) -> None:
    """A file that was renamed is a warning, and nothing of it comes into this training."""
    other, checkpoint = (Checkpoint(digest_json(name), resume=True) for name in ("a", "b"))
    single.train(replace(SPEC, seed=5), checkpoint=other)
    other.path.rename(checkpoint.path)
    with pytest.warns(UserWarning, match="belongs to another training: training starts over"):
        _, found = single.train(checkpoint=checkpoint)
    assert found == single.train()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.load() is not None  # by now its own


@pytest.mark.slow
def test_a_state_that_cannot_be_kept_does_not_stop_a_training(
    single: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where nothing can be written, training goes on with a warning that says what to set."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    checkpoint = Checkpoint(DIGEST, resume=True)
    with pytest.warns(UserWarning, match=f"cannot be resumed: .*name another folder in {CACHE}"):
        _, found = single.train(checkpoint=checkpoint)
    assert found == single.train()[1]
    checkpoint.remove()


def test_a_state_is_replaced_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in the middle leaves the state before it, and no other file."""
    checkpoint = Checkpoint(DIGEST, resume=True)
    checkpoint.save(STATE)

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        checkpoint.save(State({}, {"epochs": [1, 2]}))
    found = checkpoint.load()
    assert found is not None
    assert found.values == STATE.values
    assert [checkpoint.path] == list(checkpoint.path.parent.iterdir())


def test_a_state_is_plain_data(single: Task) -> None:
    """What is kept of a training is tensors and JSON: no pickle is ever read."""
    checkpoint = Checkpoint(DIGEST, resume=True)
    single.train(replace(SPEC, epochs=1), checkpoint=checkpoint)
    state = checkpoint.load()
    assert state is not None
    assert json.loads(json.dumps(state.values, allow_nan=False)) == state.values
    parts = {name.partition(".")[0] for name in state.tensors}
    assert parts == {"now", "best", "optimizer", "random"}
