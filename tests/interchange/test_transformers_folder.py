"""Folders that transformers loads alone: equal to the task, or refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.interchange.export import export_adapter
from taskbank.interchange.transformers_folder import stock_head
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


@pytest.mark.parametrize(
    ("model_type", "kind", "formats"),
    [
        ("electra", "single", "sentence-transformers or onnx"),
        ("distilbert", "regression", "sentence-transformers or onnx"),
        ("modernbert", "multilabel", "sentence-transformers or onnx"),
        ("modernbert", "tagging", "onnx"),
        ("modernbert", "span", "onnx"),
    ],
)
def test_what_no_head_computes_is_refused(
    mood: Bank, model_type: str, kind: str, formats: str
) -> None:
    """The error says what the task reads and which formats can hold it."""
    record = replace(mood["mood"], kind=kind)
    identity = mood.backbone(record.backbone).identity
    other = replace(identity, model_type=model_type, pooling="first")
    with pytest.raises(InputError, match=rf"on {model_type}; export it to {formats}$"):
        stock_head(record, other)


def test_the_mean_of_a_bert_is_refused(own: Bank, backbone: Backbone, tmp_path: Path) -> None:
    """BERT's head reads the pooler, and no other vector."""
    record = put_task(own, backbone, "pair", "lora")
    with pytest.raises(InputError, match="reads the backbone's mean vector"):
        export_adapter(own, record.ref, tmp_path / "out", format="transformers")
    assert not (tmp_path / "out").exists()


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
