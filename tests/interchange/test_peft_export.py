"""Adapters in peft's format: peft computes the same from them, and they come back bit for bit."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file

import taskbank
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from tests.helpers.backbones import make_backbone
from tests.helpers.foreign import put_moved
from tests.helpers.rows import ROWS, write_jsonl

# kind, method, options, and what peft calls the task
TASKS: list[tuple[str, str, dict[str, Any], str]] = [
    ("single", "lora", {"rank": 3, "alpha": 12, "projections": "query,value,up,down"}, "SEQ_CLS"),
    ("single", "ia3", {"layers": "1"}, "SEQ_CLS"),
    ("single", "layernorm", {}, "SEQ_CLS"),
    ("single", "layernorm", {"layers": "0"}, "SEQ_CLS"),
    ("regression", "ia3", {}, "SEQ_CLS"),
    ("multilabel", "layernorm", {"layers": "top:1"}, "SEQ_CLS"),
    ("pair", "lora", {"layers": "0"}, "SEQ_CLS"),
    ("tagging", "lora", {}, "TOKEN_CLS"),
    ("span", "ia3", {}, "QUESTION_ANS"),
]
CLASSES = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: Any) -> Backbone:
    """A BERT with a pooler, which its own head for whole texts reads."""
    return load_backbone(str(make_backbone(Path(tmp_path_factory.mktemp("pooled")) / "bert")))


def inputs_of(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return two padded texts."""
    texts = ["a good film", "the very bad and cold day was here today"]
    found: dict[str, torch.Tensor] = dict(
        backbone.tokenizer(texts, padding=True, return_tensors="pt")
    )
    return found


@pytest.mark.parametrize(("kind", "method", "options", "task_type"), TASKS)
def test_peft_computes_the_same_and_the_adapter_comes_back_bit_for_bit(
    own: Bank,
    pooled: Backbone,
    tmp_path: Path,
    kind: str,
    method: str,
    options: Any,
    task_type: str,
) -> None:
    """Loaded by peft and transformers alone, the logits are those of the task; imported again, the
    weights have the same digest, and labels, settings and predictions are the same."""
    data = write_jsonl(tmp_path / "data.jsonl", ROWS[kind](16, seed=2))
    record, model = put_moved(own, pooled, data, kind, method, **options)
    folder = tmp_path / "out"
    taskbank.export_adapter(own, record.ref, folder, format="peft")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["task_type"] == task_type
    assert config["base_model_name_or_path"] == pooled.identity.spec
    labels = {} if kind == "span" else {"num_labels": max(len(record.labels), 1)}
    base = getattr(transformers, CLASSES[task_type]).from_pretrained(pooled.identity.spec, **labels)
    theirs = PeftModel.from_pretrained(base, folder).eval()
    inputs = inputs_of(pooled)
    with torch.no_grad():
        output, expected = theirs(**inputs), model(**inputs)
        if kind == "span":
            logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
        else:
            logits = output.logits
    real = inputs["attention_mask"].bool() if logits.ndim == 3 else slice(None)
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=1e-5)
    back = taskbank.import_adapter(own, folder, name="back", test=data)
    assert (back.digest, back.parameters) == (record.digest, record.parameters)
    assert (back.kind, back.labels, back.settings) == (kind, record.labels, record.settings)
    assert (own.reference(back, "test") == own.reference(record, "test")).all()
    assert back.score == record.score


@pytest.mark.parametrize("method", ["lora", "ia3", "layernorm"])
def test_a_head_that_transformers_does_not_have_is_a_file_of_its_own(
    own: Bank, backbone: Backbone, tmp_path: Path, method: str
) -> None:
    """With mean pooling, the encoder is adapted by peft, and pooling and head are what the README
    says; a stock class with a head would compute something else."""
    data = write_jsonl(tmp_path / "data.jsonl", ROWS["single"](16, seed=2))
    record, model = put_moved(own, backbone, data, "single", method)
    folder = tmp_path / "out"
    taskbank.export_adapter(own, record.ref, folder, format="peft")
    assert json.loads((folder / "adapter_config.json").read_text())["task_type"] == (
        "FEATURE_EXTRACTION"
    )
    base = transformers.AutoModel.from_pretrained(backbone.identity.spec)
    theirs = PeftModel.from_pretrained(base, folder).eval()
    head = load_file(folder / "head.safetensors")
    inputs = inputs_of(backbone)
    with torch.no_grad():
        mask = inputs["attention_mask"][..., None]
        vectors = (theirs(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
        logits = vectors @ head["weight"].T + head["bias"]
        torch.testing.assert_close(logits, model(**inputs), rtol=0, atol=1e-5)
    assert "vectors = (output.last_hidden_state * mask)" in (folder / "README.md").read_text()
    back = taskbank.import_adapter(own, folder, name="back", test=data)
    assert back.digest == record.digest
    assert (own.reference(back, "test") == own.reference(record, "test")).all()


@pytest.mark.parametrize("pooling", ["pooler", "mean"])
def test_the_code_in_the_readme_runs(
    own: Bank,
    pooled: Backbone,
    backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pooling: str,
) -> None:
    """In the folder of the export, it prints the outputs of the task for one text."""
    data = write_jsonl(tmp_path / "data.jsonl", ROWS["single"](16, seed=2))
    used = pooled if pooling == "pooler" else backbone
    record, model = put_moved(own, used, data, "single", "lora")
    folder = tmp_path / "out"
    taskbank.export_adapter(own, record.ref, folder, format="peft")
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "code.py").write_text(code)
    monkeypatch.chdir(folder)
    runpy.run_path(str(tmp_path / "code.py"))
    with torch.no_grad():
        expected = model(**used.tokenizer(["A text."], return_tensors="pt"))[0].tolist()
    printed = re.findall(r"-?\d+\.\d+", capsys.readouterr().out)
    assert [float(one) for one in printed[:2]] == pytest.approx(expected, abs=2e-4)


def test_two_exports_of_an_adapter_have_the_same_bytes(
    own: Bank, pooled: Backbone, tmp_path: Path
) -> None:
    """Nothing in the folder depends on the order in which tensors are read."""
    data = write_jsonl(tmp_path / "data.jsonl", ROWS["single"](16, seed=2))
    record, _ = put_moved(own, pooled, data, "single", "lora", projections="query,key,value,up")
    for name in ("one", "two"):
        taskbank.export_adapter(own, record.ref, tmp_path / name, format="peft")
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert len(files) == 4


@pytest.mark.parametrize("model_type", ["roberta", "electra", "distilbert", "deberta-v2"])
def test_tokens_are_labelled_by_the_stock_class_of_every_architecture(
    own: Bank, tmp_path: Path, model_type: str
) -> None:
    """The class for tokens has one linear layer, so it takes adapter and head as they are."""
    backbone = load_backbone(str(make_backbone(tmp_path / model_type, model_type)))
    data = write_jsonl(tmp_path / "data.jsonl", ROWS["tagging"](16, seed=2))
    record, model = put_moved(own, backbone, data, "tagging", "lora")
    taskbank.export_adapter(own, record.ref, tmp_path / "out", format="peft")
    base = transformers.AutoModelForTokenClassification.from_pretrained(
        backbone.identity.spec, num_labels=len(record.labels)
    )
    theirs = PeftModel.from_pretrained(base, tmp_path / "out").eval()
    inputs = inputs_of(backbone)
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        logits, expected = theirs(**inputs).logits, model(**inputs)
    torch.testing.assert_close(logits[real], expected[real], rtol=0, atol=2e-5)
    back = taskbank.import_adapter(own, tmp_path / "out", name="back", test=data)
    assert back.digest == record.digest
