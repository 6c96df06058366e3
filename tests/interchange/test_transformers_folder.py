"""Folders that transformers loads alone: equal to the task, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.interchange.export import export_adapter
from tests.helpers.backbones import make_backbone
from tests.helpers.checked_exports import check_export
from tests.helpers.exports import put_task
from tests.helpers.rows import ROWS

MERGING = [
    name for name in plugins.names("methods") if plugins.load("methods", name).merge is not None
]


@pytest.mark.parametrize("kind", ROWS)
def test_every_kind_gives_its_recorded_answers(
    own: Bank, pooled: Backbone, tmp_path: Path, kind: str
) -> None:
    """The model and the code of its card, without taskbank, give predictions and probabilities."""
    record = put_task(own, pooled, kind, "lora")
    folder = check_export(own, record, pooled, "transformers", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert config["taskbank"]["version"] == f"{kind}-lora@1"
    assert [config["id2label"][str(n)] for n in range(len(record.labels))] == list(record.labels)
    assert config["dtype"] == "float32"


@pytest.mark.parametrize("method", MERGING)
def test_every_merging_method_is_merged(
    own: Bank, pooled: Backbone, tmp_path: Path, method: str
) -> None:
    """The merged weights give the task's predictions."""
    check_export(own, put_task(own, pooled, "single", method), pooled, "transformers", tmp_path)


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [
        ("roberta", "single"),
        ("roberta", "tagging"),
        ("deberta-v2", "single"),
        ("deberta-v2", "span"),
        ("electra", "tagging"),
        ("distilbert", "span"),
    ],
)
def test_heads_of_other_architectures_are_equal(
    own: Bank, tmp_path: Path, model_type: str, kind: str
) -> None:
    """RoBERTa's head is its pooler, DeBERTa's can be the first token, and tokens are the same."""
    backbone = load_backbone(str(make_backbone(tmp_path / "encoder", model_type)))
    check_export(own, put_task(own, backbone, kind, "lora"), backbone, "transformers", tmp_path)


def test_an_export_tells_nothing_of_this_machine(
    own: Bank, pooled: Backbone, tmp_path: Path
) -> None:
    """No file names the folder of the encoder or of the export; equal exports are equal bytes."""
    record = put_task(own, pooled, "single", "lora")
    for name in ("one", "two"):
        export_adapter(own, record.ref, tmp_path / name, format="transformers")
    for file in (tmp_path / "one").iterdir():
        data = file.read_bytes()
        assert str(tmp_path.parent).encode() not in data
        assert str(Path(pooled.identity.spec).parent).encode() not in data
        assert (tmp_path / "two" / file.name).read_bytes() == data
