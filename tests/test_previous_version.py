"""A bank, an export folder and a checkpoint of an earlier version are read as they were written.

tests/data/previous holds them, made with schema 0004 and a tiny backbone, with what that version
said of them in expected.json.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import SchemaError
from taskbank.history.events import bank_events, task_events
from taskbank.runtime.cache_trust import signer
from taskbank.runtime.environment import numerics
from taskbank.training import trainer
from taskbank.training.checkpoint import Checkpoint

PREVIOUS = Path(__file__).parent / "data" / "previous"
EXPECTED = json.loads((PREVIOUS / "expected.json").read_text())
BACKBONE = str(PREVIOUS / "backbone")  # the recorded place was of another machine
TRAINING = {
    "epochs": 3,
    "learning_rate": 0.02,
    "batch_size": 16,
    "max_length": 48,
    "precision": "float32",
}
DIGEST_LENGTH = 71  # of the digest at the head of that version's checkpoints
COURSE = ("seconds", "best_epoch", "epochs", "problem")


def divided(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return environment, course and request, which were one dictionary then."""
    rest = dict(environment)
    course = {name: rest.pop(name) for name in COURSE if name in rest}
    if "train" in rest:
        train = dict(rest.pop("train"))
        course |= {"at_max_length": train.pop("at_max_length"), "train": train}
    request = rest.pop("asked", None)
    return {"environment": rest, "course": course, "request": request}


def known(events: list[Any]) -> list[dict[str, Any]]:
    """Return events without their sentences, which are for people and may be reworded."""
    told = [one if isinstance(one, dict) else one.to_json() for one in events]
    return [{name: value for name, value in one.items() if name != "result"} for one in told]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a copy of the bank, with its old schema."""
    shutil.copy(PREVIOUS / "bank.sqlite", tmp_path / "bank.sqlite")
    return f"sqlite:///{tmp_path}/bank.sqlite"


@pytest.fixture
def previous(url: str) -> Iterator[Bank]:
    """The bank, upgraded."""
    taskbank.upgrade(url)
    with taskbank.open(url) as bank:
        yield bank


def test_an_old_schema_is_refused_until_it_is_upgraded(url: str) -> None:
    """Opening the bank names the command that upgrades it, and works after the upgrade."""
    assert taskbank.schema_of(url) == "0004"
    with pytest.raises(SchemaError, match="taskbank db upgrade"):
        taskbank.open(url)
    assert taskbank.upgrade(url) == "0004"
    with taskbank.open(url) as bank:
        assert len(bank) == 7


@pytest.mark.slow
@pytest.mark.parametrize("level", ["integrity", "full", "changed"])
def test_the_bank_verifies(previous: Bank, level: Any) -> None:
    """At every level nothing is found, and every adapter predicts its reference."""
    report = taskbank.verify_all(previous, level=level, backbone=BACKBONE)
    assert report.findings == ()
    # Another processor or library may move the last bits, which changes no answer.
    assert {task.status for task in report.tasks} <= {"ok", "changed"}
    assert len(report.tasks) == 7


def test_adapters_are_those_that_were_recorded(previous: Bank) -> None:
    """Summaries, environments, courses and requests are equal, the retired version included."""
    records = previous.adapters(retired=True)
    assert [record.summary() for record in records] == EXPECTED["list"]
    for record in records:
        own = {name: getattr(record, name) for name in ("environment", "course", "request")}
        assert own == divided(EXPECTED["environment"][record.ref]), record.ref
    assert [record.ref for record in records if record.retired] == ["pair@2"]
    assert previous["single"].tags == {}
    assert previous["single@1"].tags == {"team": "single"}


def test_trials_are_those_that_were_recorded(previous: Bank) -> None:
    """Every trial has its fields, with course and request beside its environment."""
    expected = [one | divided(one["environment"]) for one in EXPECTED["trials"]]
    assert json.loads(json.dumps([one.to_json() for one in previous.trials()])) == expected


def test_history_aliases_tolerances_and_references_are_kept(previous: Bank) -> None:
    """Events, aliases and tolerances are equal, and the accepted predictions are the reference."""
    assert known(bank_events(previous)) == known(EXPECTED["events"])
    assert known(task_events(previous, "single")) == known(EXPECTED["single_events"])
    assert previous.tolerances() == EXPECTED["tolerances"]
    assert previous["single@production"].version == 2
    assert previous["pair@staging"].version == 1
    (split,) = previous["regression"].splits
    assert split.accepted == 2
    assert split.reference != split.predictions


@pytest.mark.slow
def test_a_new_version_is_added(previous: Bank) -> None:
    """A task of the bank gets a version more, which verifies beside the old ones."""
    added = taskbank.add_task(
        previous,
        "single",
        str(PREVIOUS / "single.jsonl"),
        backbone=BACKBONE,
        options={"size": 2},
        training=TRAINING | {"epochs": 1},
        new_version=True,
        verify="none",
    )
    assert added.record is not None
    assert added.record.ref == "single@3"
    assert taskbank.verify_all(previous, level="changed", backbone=BACKBONE).ok


def test_the_export_is_imported(tmp_path: Path) -> None:
    """The exported version is in a new bank what it was in the old one, and verifies."""
    with taskbank.create(f"sqlite:///{tmp_path}/new.db") as bank:
        record = taskbank.import_adapter(bank, PREVIOUS / "export", backbone=BACKBONE)
        (exported,) = (
            one for one in EXPECTED["list"] if (one["task"], one["version"]) == ("single", 2)
        )
        assert record.digest == exported["digest"]
        assert record.score == exported["score"]
        assert taskbank.verify_all(bank, backbone=BACKBONE).ok


@pytest.mark.slow
def test_the_checkpoint_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that was interrupted after two of three epochs trains the third alone, once its
    file is signed: that version signed nothing, so that nobody knows who wrote it."""
    recorded = EXPECTED["resumed"]
    shutil.copytree(PREVIOUS / "checkpoints", tmp_path / "cache" / "checkpoints")
    for folder in (tmp_path / "cache", tmp_path / "cache" / "checkpoints"):
        folder.chmod(0o700)
    checkpoint = Checkpoint(recorded["specification"], resume=True)
    with pytest.warns(UserWarning, match="another user or version wrote it: training starts over"):
        assert checkpoint.load() is None
    body = checkpoint.path.read_bytes()[DIGEST_LENGTH:]
    signature = signer(checkpoint.path.parent, "training")
    assert signature is not None
    signature.update(body)
    checkpoint.path.write_bytes(signature.hexdigest().encode() + body)
    state = checkpoint.load()
    assert state is not None
    steps: list[int] = []
    step = torch.optim.AdamW.step

    def counted(optimizer: torch.optim.AdamW, *given: Any) -> Any:
        if sum(len(group["params"]) for group in optimizer.param_groups) > 2:  # not a linear probe
            steps.append(1)
        return step(optimizer, *given)

    # The specification has the versions of the machine that the checkpoint is from.
    monkeypatch.setattr(trainer, "numerics", lambda _device: recorded["numerics"])
    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    added = taskbank.add_task(
        f"sqlite:///{tmp_path}/new.db",
        "resumed",
        str(PREVIOUS / "single.jsonl"),
        backbone=BACKBONE,
        options={"size": 2},
        training=TRAINING,
        keep_trials=True,
        resume=True,
        verify="none",
    )
    first, *others = added.trials
    assert first.specification == recorded["specification"]
    assert first.status == recorded["status"]
    batches = 5  # 72 rows by 16
    assert len(steps) == batches + 3 * batches * len(others)
    assert first.course["epochs"][:2] == state.values["epochs"]
    if numerics("cpu") == recorded["numerics"]:  # elsewhere the last bits may differ
        assert first.digest == recorded["digest"]
