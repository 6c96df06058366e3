"""Export and import: the same adapter in another bank, and nothing hostile in any."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskbank
from taskbank.bank import Bank, create_bank
from taskbank.errors import ConflictError, InputError
from taskbank.transfer import export_adapter, import_adapter


@pytest.fixture
def exported(mood: Bank, tmp_path: Path) -> Path:
    """The task `mood` as a folder."""
    export_adapter(mood, "mood", tmp_path / "out")
    return tmp_path / "out"


def test_an_exported_adapter_is_the_same_in_another_bank(
    mood: Bank, exported: Path, url: str
) -> None:
    """On either database: equal bytes, labels, scores and evidence; it verifies and predicts."""
    assert sorted(p.name for p in exported.iterdir()) == [
        "adapter.json",
        "test.jsonl",
        "test.logits.safetensors",
        "validation.jsonl",
        "validation.logits.safetensors",
        "weights.safetensors",
    ]
    with create_bank(url) as other:
        record = import_adapter(other, exported)
        original = mood["mood"]
        for field in (
            "task",
            "kind",
            "method",
            "options",
            "training",
            "labels",
            "score",
            "metrics",
            "splits",
            "digest",
            "bytes",
            "parameters",
            "backbone",
            "tags",
            "description",
            "environment",
        ):
            assert getattr(record, field) == getattr(original, field), field
        assert taskbank.verify_all(other).ok
        texts = ["a lovely warm day"]
        assert taskbank.predict(other, "mood", texts) == taskbank.predict(mood, "mood", texts)
        with pytest.raises(ConflictError):
            import_adapter(other, exported)
        assert import_adapter(other, exported, new_version=True).version == 2
        assert import_adapter(other, exported, name="copy").ref == "copy@1"


def test_an_export_never_overwrites(mood: Bank, exported: Path) -> None:
    """A folder with anything in it is refused, and stays as it was."""
    before = {p.name: p.read_bytes() for p in exported.iterdir()}
    with pytest.raises(InputError, match="is not empty"):
        export_adapter(mood, "mood", exported)
    assert {p.name: p.read_bytes() for p in exported.iterdir()} == before


def _edit(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        for key, value in changes.items():
            if value is None:
                del description[key]
            else:
                description[key] = value
        path.write_text(json.dumps(description))

    return spoil


def _twice(key: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        description[key] *= 2
        path.write_text(json.dumps(description))

    return spoil


def _edit_split(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "adapter.json"
        description = json.loads(path.read_text())
        description["splits"][0] |= changes
        path.write_text(json.dumps(description))

    return spoil


def _flip(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 0x20
        (folder / name).write_bytes(data)

    return spoil


def _write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        lambda folder: (folder / "weights.safetensors").unlink(),
        lambda folder: (folder / "test.jsonl").unlink(),
        _flip("weights.safetensors"),
        _flip("test.jsonl"),
        _flip("validation.logits.safetensors"),
        _write("adapter.json", b""),
        _write("adapter.json", b"\xff\xfe"),
        _write("adapter.json", b"[]"),
        _write("adapter.json", b"[" * 200_000),
        _write("adapter.json", b'{"format": "taskbank-adapter/1"}'),
        _edit(format="taskbank-adapter/9"),
        _edit(labels=None),
        _edit(labels=["good"]),
        _edit(labels=["good", "good"]),
        _edit(labels=["good", "bad", "ugly"]),
        _edit(labels="good"),
        _edit(task="../../etc"),
        _edit(kind="magic"),
        _edit(kind=["single"]),
        _edit(method="magic"),
        _edit(options={"size": -1}),
        _edit(options={"size": 8, "evil": 1}),
        _edit(training={"epochs": 0}),
        _edit(training={"surprise": 1}),
        _edit(parameters=1),
        _edit(metric="f9"),
        _edit(split="elsewhere"),
        _edit(metrics=[]),
        _edit(splits=[]),
        _edit(splits=[{}]),
        _twice("splits"),
        _twice("metrics"),
        _edit(metrics=[{"split": "test", "name": "accuracy", "value": "high"}]),
        _edit(backbone={"spec": "x"}),
        _edit(tags={"a b": "c"}),
        _edit(digest="sha256:" + "0" * 64),
        _edit(digest="../../../etc/passwd"),
        _edit_split(name="../../../etc/passwd"),
        _edit_split(rows=3),
        _edit_split(digest="x"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_and_leaves_the_bank_as_it_was(
    exported: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Missing, changed, contradictory and hostile content is an error, and nothing is stored."""
    spoil(exported)
    with create_bank(f"sqlite:///{tmp_path}/other.db") as bank:
        with pytest.raises(InputError) as caught:
            import_adapter(bank, exported)
        assert caught.value.exit_code == 2
        assert len(bank) == len(list(bank.blobs.sizes())) == len(bank.backbones()) == 0


def test_numbers_that_json_does_not_have_are_refused(exported: Path, tmp_path: Path) -> None:
    """NaN in a score is no number of a bank."""
    path = exported / "adapter.json"
    path.write_text(path.read_text().replace('"standard_error":', '"standard_error": NaN, "x":', 1))
    with (
        create_bank(f"sqlite:///{tmp_path}/other.db") as bank,
        pytest.raises(InputError, match="NaN"),
    ):
        import_adapter(bank, exported)
