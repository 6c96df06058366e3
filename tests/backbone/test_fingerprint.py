"""The fingerprint changes with the model and its tokenizer, and with nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from taskbank.backbone.load import load_backbone
from tests.helpers.backbones import make_tokenizer


def test_a_fingerprint_is_the_same_for_the_same_files_and_after_use(folder: Path) -> None:
    """Loading again, or tokenising with truncation and padding in between, changes nothing."""
    first = load_backbone(str(folder))
    first.tokenizer(
        ["a good film", "a very sad book today"], truncation=True, padding=True, max_length=4
    )
    from taskbank.backbone.fingerprint import tokenizer_digest

    assert tokenizer_digest(first.tokenizer) == first.identity.tokenizer
    assert load_backbone(str(folder)).identity == first.identity


@pytest.mark.slow
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
