"""Models that transformers saved: what taskbank computes enters a bank, the rest is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import taskbank
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import InputError
from tests.helpers.foreign import Spoil, edit_json, edit_tensors, hostile_files, refused
from tests.helpers.rows import write_jsonl

CONFIG, WEIGHTS = "config.json", "model.safetensors"
LABELS = {0: "bad", 1: "good"}
LAYER = "encoder.layer"


def save_model(
    place: Path,
    folder: Path,
    changed: str | None,
    head: str = "SequenceClassification",
    **config: Any,
) -> Any:
    """Save a model with a head, some of whose encoder's weights were changed; return it."""
    auto = getattr(transformers, f"AutoModelFor{head}")
    torch.manual_seed(0)
    model = auto.from_pretrained(place / "bert", **{"id2label": LABELS, "num_labels": 2} | config)
    with torch.no_grad():
        for name, tensor in model.base_model.named_parameters():
            if changed is not None and name.startswith(changed):
                tensor.add_(0.1)
    model.eval().save_pretrained(folder)
    return model


@pytest.fixture
def saved(place: Path, tmp_path: Path) -> Path:
    """A model whose every weight was trained."""
    save_model(place, tmp_path / "model", "")
    return tmp_path / "model"


def take(bank: Bank, folder: Path, place: Path, **options: Any) -> taskbank.AdapterRecord:
    """Import a model with what its files do not tell."""
    given: dict[str, Any] = {
        "name": "mood",
        "backbone": str(place / "bert"),
        "test": str(place / "test.jsonl"),
    }
    return taskbank.import_adapter(bank, folder, **given | options)


@pytest.mark.parametrize(
    ("changed", "method", "layers"),
    [
        ("", "top-k", "all"),
        ("embeddings", "top-k", "all"),
        (f"{LAYER}.0", "top-k", "all"),
        (f"{LAYER}.1", "top-k", "top:1"),
        ("pooler", "top-k", "top:1"),
        (None, "linear", None),
    ],
)
def test_a_model_becomes_copies_of_what_differs_from_the_backbone(
    place: Path, tmp_path: Path, changed: str | None, method: str, layers: str | None
) -> None:
    """The version computes what transformers does, holds no more layers than it must, has the
    labels of the configuration, and is verified."""
    model = save_model(place, tmp_path / "model", changed)
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        record = take(bank, tmp_path / "model", place)
        assert (record.method, record.options.get("layers")) == (method, layers)
        assert (record.kind, record.labels) == ("single", ("bad", "good"))
        assert record.course["imported"]["format"] == "transformers"
        assert taskbank.verify_all(bank).ok
        texts = [row["text"] for row in map(json.loads, (place / "test.jsonl").open())]
        found = bank.reference(record, "test")
    tokenizer = load_backbone(str(place / "bert")).tokenizer
    with torch.inference_mode():
        wanted = [model(**tokenizer(text, return_tensors="pt")).logits[0].numpy() for text in texts]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)


@pytest.mark.parametrize(
    ("head", "config", "kind"),
    [
        ("SequenceClassification", {"problem_type": "multi_label_classification"}, "multilabel"),
        ("SequenceClassification", {"id2label": {0: "value"}, "num_labels": 1}, "regression"),
        ("TokenClassification", {"id2label": {0: "O", 1: "B-PER"}}, "tagging"),
    ],
)
def test_the_kind_is_told_by_the_head_and_the_configuration(
    place: Path, tmp_path: Path, head: str, config: dict[str, Any], kind: str
) -> None:
    """The kind is that of the problem that the model's configuration names, or of its head."""
    save_model(place, tmp_path / "model", "", head, **config)
    rows: Any = {
        "multilabel": [{"text": "a film", "labels": ["good"]}, {"text": "a book", "labels": []}],
        "regression": [{"text": "a film", "score": 0.5}, {"text": "a book", "score": 0.1}],
        "tagging": [{"words": ["Ann", "is"], "tags": ["B-PER", "O"]}] * 2,
    }[kind]
    columns = {
        "multilabel": {"label": "labels"},
        "regression": {"label": "score"},
        "tagging": {"text": "words", "label": "tags"},
    }[kind]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        record = take(bank, tmp_path / "model", place, test=str(tmp_path / "rows.jsonl"), **columns)
        assert record.kind == kind
        assert taskbank.verify_all(bank).ok


def test_a_model_without_names_of_classes_needs_them(place: Path, tmp_path: Path) -> None:
    """The names that transformers makes up are not taken for labels."""
    save_model(place, tmp_path / "model", "", id2label={0: "LABEL_0", 1: "LABEL_1"})
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        with pytest.raises(InputError, match="the names of the classes"):
            take(bank, tmp_path / "model", place)
        record = take(bank, tmp_path / "model", place, label_names=["bad", "good"])
        assert record.labels == ("bad", "good")


def config(**changes: Any) -> Spoil:
    """Return a function that changes the configuration."""
    return edit_json(CONFIG, changes)


def tensors(change: Any) -> Spoil:
    """Return a function that changes the tensors."""
    return edit_tensors(WEIGHTS, change)


def _swap(found: dict[str, np.ndarray]) -> None:
    first, second = (f"bert.{LAYER}.0.{part}.dense.weight" for part in ("intermediate", "output"))
    found[first], found[second] = found[second], found[first]


# Other libraries' configurations have any keys, and folders of transformers no task file to spoil.
ELSEWHERE = ("a second adapter", "a key twice", "an unknown key", "only a pickle", "no weights")
HOSTILE: dict[str, tuple[Spoil, str]] = {
    case: spoiled
    for case, spoiled in hostile_files(WEIGHTS, CONFIG, "pytorch_model.bin").items()
    if case not in ELSEWHERE
} | {
    "a configuration that is a list": (
        lambda folder: (folder / CONFIG).write_text("[]"),
        "must be an object",
    ),
    "only a pickle": (
        lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"),
        "its weights are a pickle",
    ),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "has no model.safetensors"),
    "weights in parts": (
        lambda folder: (folder / WEIGHTS).rename(folder / "model.safetensors.index.json"),
        "its weights are in parts",
    ),
    "no architecture": (config(architectures=...), "has no 'architectures'"),
    "a key twice": (
        lambda folder: (folder / CONFIG).write_text('{"model_type": "bert", "model_type": "x"}'),
        "appears twice",
    ),
    "two architectures": (config(architectures=["A", "B"]), "a list of 1 to 1"),
    "no head": (config(architectures=["BertModel"]), "architectures is BertModel"),
    "a head for words": (
        config(architectures=["BertForTokenClassification"]),
        "has no column 'words'",
    ),
    "a head of another sort": (
        config(architectures=["BertForMaskedLM"]),
        "architectures is BertForMaskedLM",
    ),
    "code of its own": (
        config(auto_map={"AutoModelForSequenceClassification": "evil.Evil"}),
        "or has code of its own",
    ),
    "a class of its own": (
        config(architectures=["EvilForSequenceClassification"]),
        "'EvilForSequenceClassification', which is no class of transformers",
    ),
    "another encoder": (config(model_type="roberta"), "no class of transformers for 'roberta'"),
    "another activation": (config(hidden_act="relu"), "hidden_act is 'relu'"),
    "another number of heads": (config(num_attention_heads=4), "num_attention_heads is 4"),
    "another width": (config(hidden_size=64), "hidden_size is 64"),
    "an unknown problem": (config(problem_type="ranking"), "problem_type is 'ranking'"),
    "labels that are a list": (config(id2label=["bad", "good"]), "id2label"),
    "labels with a gap": (config(id2label={"0": "bad", "2": "good"}), "from 0 to 1"),
    "a label twice": (config(id2label={"0": "bad", "1": "bad"}), "each differently"),
    "a label that cannot be seen": (config(id2label={"0": "bad", "1": "go\u202eod"}), "id2label"),
    "more labels than outputs": (
        config(id2label={"0": "bad", "1": "good", "2": "fair"}),
        "the head has 2 outputs",
    ),
    "a head of two layers": (
        tensors(lambda t: t.update({"classifier.dense.weight": np.zeros((32, 32), "f4")})),
        "unexpected classifier.dense.weight",
    ),
    "a head that is turned": (
        tensors(lambda t: t.update({"classifier.weight": t["classifier.weight"].T})),
        "the head has 32 outputs",
    ),
    "a bias of another size": (
        tensors(lambda t: t.update({"classifier.bias": np.zeros(3, "f4")})),
        "tensor 'head.bias' is",
    ),
    "swapped layers": (tensors(_swap), "has the shape"),
    "a layer too few": (
        tensors(lambda t: [t.pop(name) for name in list(t) if f"{LAYER}.1." in name]),
        "missing",
    ),
    "a layer too many": (
        tensors(lambda t: t.update({f"bert.{LAYER}.2.output.dense.bias": np.zeros(32, "f4")})),
        "unexpected",
    ),
    "other names of tensors": (
        tensors(lambda t: [t.update({f"model.{name}": t.pop(name)}) for name in list(t)]),
        "missing",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_folder_is_refused_by_name_and_the_bank_is_as_before(
    known: Bank, saved: Path, place: Path, case: str
) -> None:
    """Whatever is wrong, the error says what and where, and nothing enters the bank."""
    spoil, says = HOSTILE[case]
    spoil(saved)
    with refused(known, says):
        take(known, saved, place)


def test_there_are_thirty_hostile_folders() -> None:
    """What is tried against the importer does not shrink unnoticed."""
    assert len(HOSTILE) >= 30
