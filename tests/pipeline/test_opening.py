"""Which backbone a command loads, and which it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import BackboneMismatchError, InputError
from taskbank.pipeline.add_task import add_task
from tests.helpers.backbones import make_backbone
from tests.helpers.training import QUICK


def test_a_bank_without_a_backbone_asks_for_one(bank: Bank, data: Path) -> None:
    """With none or several backbones to choose from, the error says to name one."""
    with pytest.raises(InputError, match="no backbone yet: name one with --backbone"):
        add_task(bank, "x", str(data / "train.jsonl"))


@pytest.mark.slow
def test_a_backbone_that_changed_in_its_place_is_refused(
    tmp_path: Path, folder: Path, data: Path
) -> None:
    """Other weights or another tokenizer where the recorded ones were end with exit code 4."""
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    url = f"sqlite:///{tmp_path}/bank.db"
    train = str(data / "train.jsonl")
    add_task(url, "one", train, backbone=str(place), **QUICK)
    shutil.rmtree(place)
    make_backbone(place, seed=1)
    for backbone in (None, str(place)):
        with pytest.raises(BackboneMismatchError, match="weights is sha256") as caught:
            add_task(url, "two", train, backbone=backbone, **QUICK)
        assert caught.value.exit_code == 4
    with taskbank.open(url) as bank:
        with pytest.raises(BackboneMismatchError):
            taskbank.predict(bank, "one", ["good"])
        shutil.rmtree(place)
        make_backbone(place, lowercase=False)
        with pytest.raises(BackboneMismatchError, match="tokenizer is sha256"):
            taskbank.predict(bank, "one", ["good"])
        (found,) = taskbank.predict(bank, "one", ["good"], backbone=str(folder))
        assert found.label in ("good", "bad")


def test_nothing_is_loaded_for_a_bank_that_cannot_be_created(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing folder or an unusable blobs URL is refused before the backbone is loaded."""
    monkeypatch.setattr("taskbank.pipeline.init.load_backbone", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr("taskbank.pipeline.opening.load_backbone", lambda *_: pytest.fail("loaded"))
    missing = f"sqlite:///{tmp_path}/missing/bank.db"
    with pytest.raises(InputError, match="is not a folder"):
        taskbank.init(missing, "some/backbone")
    with pytest.raises(InputError, match="no secrets"):
        taskbank.init(f"sqlite:///{tmp_path}/bank.db", "some/backbone", blobs="s3://key:x@bucket")
    with pytest.raises(InputError, match="is not a folder"):
        add_task(missing, "x", str(data / "train.jsonl"), backbone="some/backbone")
    assert not (tmp_path / "bank.db").exists()
