"""Adapters in AdapterHub's format: the names and options of adapters 1.3, and back bit for bit.

What the library itself computes from them is measured by scripts/verification/round_trips.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load

import taskbank
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.interchange.adapterhub_names import reduction_factor
from tests.helpers.backbones import make_backbone
from tests.helpers.foreign import put_moved, write_adapterhub
from tests.helpers.rows import ROWS, write_jsonl

FROZEN = {"layernorms": "frozen"}
# kind, method, options, architecture, type of the head
TASKS: list[tuple[str, str, dict[str, Any], str, str | None]] = [
    ("single", "houlsby", {"size": 4} | FROZEN, "bert", "classification"),
    ("regression", "pfeiffer", {"size": 5, "layers": "1"}, "bert", "classification"),
    ("multilabel", "parallel", {"size": 7, "scale": 2.5}, "bert", "multilabel_classification"),
    ("pair", "lora", {"projections": "query,up,down"}, "bert", "classification"),
    ("span", "pfeiffer", {"size": 3, "activation": "tanh"}, "roberta", "question_answering"),
    ("tagging", "houlsby", {"size": 4} | FROZEN, "distilbert", "tagging"),
    ("single", "lora", {"layers": "0"}, "deberta-v2", "classification"),
    ("single", "parallel", {"size": 4}, "electra", "classification"),
]


@pytest.mark.parametrize(("kind", "method", "options", "model_type", "head_type"), TASKS)
def test_an_adapter_comes_back_bit_for_bit(
    own: Bank,
    tmp_path: Path,
    kind: str,
    method: str,
    options: Any,
    model_type: str,
    head_type: str,
) -> None:
    """For every method, kind and architecture: the same weights, labels, settings and scores."""
    backbone = load_backbone(str(make_backbone(tmp_path / model_type, model_type)))
    data = write_jsonl(tmp_path / "data.jsonl", ROWS[kind](16, seed=2))
    record, _ = put_moved(own, backbone, data, kind, method, **options)
    folder = tmp_path / "out"
    taskbank.export_adapter(own, record.ref, folder, format="adapterhub")
    head = json.loads((folder / "head_config.json").read_text())
    assert head["config"]["head_type"] == head_type
    back = taskbank.import_adapter(own, folder, name="back", test=data)
    assert (back.digest, back.parameters) == (record.digest, record.parameters)
    assert (back.kind, back.labels, back.settings) == (kind, record.labels, record.settings)
    assert (own.reference(back, "test") == own.reference(record, "test")).all()


def test_a_head_that_the_library_does_not_have_is_a_file_of_its_own(
    own: Bank, backbone: Any, tmp_path: Path
) -> None:
    """With mean pooling, there is no head of the library, and the README says what to compute."""
    data = write_jsonl(tmp_path / "data.jsonl", ROWS["single"](16, seed=2))
    record, _ = put_moved(own, backbone, data, "single", "pfeiffer", size=4)
    folder = tmp_path / "out"
    taskbank.export_adapter(own, record.ref, folder, format="adapterhub")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "adapter.safetensors",
        "adapter_config.json",
        "head.safetensors",
        "task.json",
    ]
    readme = (folder / "README.md").read_text()
    assert "use_safetensors=True" in readme
    assert "vectors = (output.last_hidden_state * mask)" in readme
    assert taskbank.import_adapter(own, folder, name="back", test=data).digest == record.digest


def test_names_and_options_are_those_that_the_library_writes(own: Bank, tmp_path: Path) -> None:
    """The tensors of an export are called what those of a checkpoint of adapters 1.3 are, and
    every option that stands there has the same value."""
    base = make_backbone(tmp_path / "bert")
    theirs = write_adapterhub(tmp_path / "theirs", str(base))
    data = write_jsonl(tmp_path / "data.jsonl", ROWS["single"](16, seed=2))
    record, _ = put_moved(own, load_backbone(str(base)), data, size=4, **FROZEN)
    taskbank.export_adapter(own, record.ref, tmp_path / "ours", format="adapterhub")
    for name in ("adapter.safetensors", "model_head.safetensors"):
        found = load((tmp_path / "ours" / name).read_bytes())
        shapes = {key.replace("single-houlsby", "mood"): one.shape for key, one in found.items()}
        expected = load((theirs / name).read_bytes())
        assert shapes == {key: one.shape for key, one in expected.items()}
    for name in ("adapter_config.json", "head_config.json"):
        found = json.loads((tmp_path / "ours" / name).read_text())
        expected = json.loads((theirs / name).read_text())
        assert found | {"config": None, "name": "mood"} == expected | {"config": None}
        factor = found["config"].pop("reduction_factor", None)
        assert factor is None or int(32 // factor) == 4
        expected["config"].pop("reduction_factor", None)
        assert expected["config"].items() <= found["config"].items()


@pytest.mark.parametrize("width", [32, 312, 384, 768, 1024])
def test_every_size_has_a_reduction_factor(width: int) -> None:
    """The library divides the width by the factor and rounds down, which gives the size again."""
    for size in range(1, 1025):
        factor = reduction_factor(width, size)
        assert factor is not None
        assert int(width // factor) == size
