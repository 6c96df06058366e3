"""Export and import: the same adapter in another bank, and nothing hostile in any."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import ConflictError, InputError
from taskbank.interchange.export import export_adapter
from taskbank.pipeline.import_adapter import import_adapter

WHERE = ("validation", "accuracy")


@pytest.mark.slow
def test_an_exported_adapter_is_the_same_in_another_bank(
    mood: Bank, exported: Path, url: str, folder: Path
) -> None:
    """On either database: equal bytes, labels, scores and evidence; it verifies and predicts."""
    assert sorted(p.name for p in exported.iterdir()) == [
        "adapter.json",
        "row-digests.bin",
        "test.jsonl",
        "test.logits.safetensors",
        "validation.jsonl",
        "validation.logits.safetensors",
        "weights.safetensors",
    ]
    with create_bank(url) as other:
        record = import_adapter(other, exported, backbone=str(folder))
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
