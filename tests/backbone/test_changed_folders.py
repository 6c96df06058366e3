"""No change of a backbone's folder is silent: it is refused, or it changes nothing."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import taskbank
from scripts.verification.attacks.backbones import BROKEN, FAMILIES, attempt, behaviour, make_folder
from scripts.verification.changed_folders import folder_changes
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.data.tokenization import encode
from taskbank.errors import BackboneMismatchError, NotWritableError
from taskbank.model.load import load_recorded_backbone
from taskbank.verify.verify import verify_all

NAMED = ("truncation_side", "padding_side", "model_input_names", "model_max_length")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_changed_key_is_refused_or_changes_nothing(
    own: Bank, tmp_path: Path, family: str
) -> None:
    """The named settings of the tokenizer and some other keys, one at a time."""
    folder = make_folder(tmp_path / "original", family)
    backbone = load_backbone(str(folder))
    recorded = own.add_backbone(backbone.identity)
    expected = behaviour(backbone)
    generator = random.Random(0)
    changes = list(folder_changes(folder, generator))
    named = [one for one in changes if any(f": {name} set" in one.description for name in NAMED)]
    assert len(named) >= len(NAMED)
    outcomes = {
        change.description: attempt(own, folder, change, expected)
        for change in [*named, *generator.sample(changes, 4)]
    }
    assert not set(outcomes.values()) & set(BROKEN), outcomes
    left = "tokenizer_config.json: truncation_side set to 'left'"
    assert outcomes[left] == "refused"
    assert own.backbones() == (recorded,)


def configured(folder: Path, place: Path, **settings: Any) -> Path:
    """Return a copy of a backbone's folder with other settings of its tokenizer."""
    shutil.copytree(folder, place)
    path = place / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return place


def test_a_bank_learns_the_settings_of_a_backbone_that_it_knows(
    own: Bank, folder: Path, tmp_path: Path
) -> None:
    """A bank of an earlier version takes them when its backbone is next loaded, whatever they are,
    and refuses others from then on."""
    left = configured(folder, tmp_path / "left", truncation_side="left")
    identity = load_backbone(str(left)).identity
    old = own.add_backbone(replace(identity, settings=None))
    loaded = load_recorded_backbone(own, old)
    assert loaded.tokenizer.truncation_side == "left"
    (now,) = own.backbones()
    assert now.identity.settings == identity.settings
    assert now.identity.settings["truncation_side"] == "left"
    with pytest.raises(BackboneMismatchError, match="truncation_side is 'right'"):
        load_recorded_backbone(own, now, str(folder))


def test_a_bank_that_cannot_be_written_to_loads_its_backbone(
    own: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be recorded is no error."""
    old = own.add_backbone(replace(load_backbone(str(folder)).identity, settings=None))

    def refuse(*_given: object) -> None:
        raise NotWritableError("attempt to write a readonly database")

    monkeypatch.setattr(Bank, "add_backbone", refuse)
    load_recorded_backbone(own, old)
    assert own.backbones()[0].identity.settings is None


USES: dict[str, Callable[[Bank, str], object]] = {
    "predict": lambda bank, spec: taskbank.predict(bank, "mood", ["good"], backbone=spec),
    "verify": lambda bank, spec: verify_all(bank, backbone=spec),
    "init": lambda bank, spec: taskbank.init(bank.url, spec),
    "attach": lambda bank, spec: taskbank.attach(bank, "mood", backbone=spec).__enter__(),
}


@pytest.mark.parametrize("use", USES)
def test_no_command_takes_a_backbone_with_other_settings(
    mood: Bank, folder: Path, tmp_path: Path, use: str
) -> None:
    """The error names the setting with both values, wherever the backbone comes from."""
    left = configured(folder, tmp_path / "left", truncation_side="left")
    says = "truncation_side is 'left', recorded was 'right'"
    with pytest.raises(BackboneMismatchError, match=says):
        USES[use](mood, str(left))


def test_another_task_is_not_trained_with_other_settings(
    mood: Bank, folder: Path, tmp_path: Path, data: Path
) -> None:
    """The error comes before the training."""
    left = configured(folder, tmp_path / "left", truncation_side="left")
    with pytest.raises(BackboneMismatchError, match="truncation_side"):
        taskbank.add_task(mood, "more", str(data / "train.jsonl"), backbone=str(left))


def test_the_cache_of_tokens_tells_settings_apart(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens that were cached for one setting are not used for another."""
    monkeypatch.setattr("taskbank.data.tokenization.MIN_CACHED_TEXTS", 1)
    apart = configured(folder, tmp_path / "apart", split_special_tokens=True)
    texts = {"text": ["a good film [SEP] a bad film"]}
    one, other = (
        encode(load_backbone(str(place)).tokenizer, texts, ("text",), 64)
        for place in (folder, apart)
    )
    assert len(one.flat["input_ids"]) != len(other.flat["input_ids"])
