"""Models of tasks, and the batches that they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.hooks import Part
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import Encoded
from taskbank.data.packed import Batch
from taskbank.data.tokenization import encode
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import Columns, Kind
from taskbank.kinds.single import SINGLE
from taskbank.model.ensemble import joined
from taskbank.model.stored_model import StoredModel
from taskbank.model.task_model import TaskModel, task_model
from taskbank.training.prepared import PreparedSplit
from tests.helpers.adapters import put_model
from tests.helpers.rows import labelled, sentences

WORDS = ["good", "bad", "film", "was", "the", "very", "today", "warm", "xyz"]


TWO = Definition(("no", "yes"))


CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of very different lengths."""
    chance = np.random.default_rng(seed)
    return [" ".join(chance.choice(WORDS, size=chance.integers(1, 30))) for _ in range(count)]


def batch_of(backbone: Backbone, count: int = 9, seed: int = 0) -> Batch:
    """Return a batch of texts."""
    encoded = encode(backbone.tokenizer, {"text": texts(count, seed)}, ("text",), 64)
    return encoded.batch(np.arange(count))


def moved(backbone: Backbone, method: str, seed: int, kind: Any = SINGLE, **options: Any) -> Any:
    """Return a task's model, every tensor of it moved away from its start."""
    model = task_model(backbone, kind, TWO, method, options, seed)
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.trained_tensors().values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=chance))
    return model.eval()


def ensemble(backbone: Backbone, method: str, seeds: Sequence[int], **given: Any) -> StoredModel:
    """Return the model of a version of several trainings."""
    members = [moved(backbone, method, seed, **given) for seed in seeds]
    return joined(members, given.get("kind", SINGLE)).eval()


def layers_seen(backbone: Backbone, layer: int) -> tuple[list[int], Any]:
    """Return a list that gets the number of tokens whenever a layer is computed, and its hook."""
    seen: list[int] = []
    module = backbone.model.get_submodule(f"{backbone.layer(layer)}.attention")
    return seen, module.register_forward_hook(lambda _m, given, _o: seen.append(given[0].shape[1]))


MOOD = Definition(("bad", "good"), {"positive": "good"})


def data_of(backbone: Backbone, count: int, seed: int) -> PreparedSplit:
    """Return encoded sentences with their labels."""
    return prepared(backbone, SINGLE, MOOD, labelled("single", count, seed))


def encoded_of(backbone: Backbone, count: int, seed: int = 0) -> Encoded:
    """Return some encoded sentences."""
    return encode(backbone.tokenizer, {"text": texts(count, seed)}, ("text",), 16)


def put_moved(bank: Bank, backbone: Backbone, task: str, **options: Any) -> AdapterRecord:
    """Record a task with weights of its own."""
    options = {"size": 4, **options}
    seed = len(bank)
    return put_model(bank, task, moved(backbone, "houlsby", seed, **options), options)


def classes(count: int) -> Definition:
    """Return a task of so many classes."""
    return Definition(tuple("abcdefgh"[:count]))


def inputs_of(backbone: Backbone) -> Batch:
    """Return a batch of eight sentences."""
    texts = [row["text"] for row in sentences(8)]
    return encode(backbone.tokenizer, {"text": texts}, ("text",), 32).batch(np.arange(8))


@torch.no_grad()
def vectors_of(backbone: Backbone, model: TaskModel | None = None) -> torch.Tensor:
    """Return the vectors of the batch, of the bare backbone or as a task adapts it."""
    inputs = inputs_of(backbone)
    parts = (Part(len(inputs), model.adaptation if model else None),)
    return run_backbone(backbone, inputs, parts).vectors


def prepared(
    backbone: Backbone, kind: Kind, definition: Definition, columns: Columns
) -> PreparedSplit:
    """Return labelled examples ready for a model."""
    encoded = kind.encode(backbone.tokenizer, columns, definition, 48, labelled=True)
    return PreparedSplit(encoded, columns)


OPTIONS = {"houlsby": {"size": 4}, "pfeiffer": {"size": 16}, "parallel": {"size": 16}}


METHODS_WITH_LAYERS = [
    name for name in plugins.names("methods") if "layers" in plugins.load("methods", name).options
]


def options_of(method: str) -> dict[str, Any]:
    """Return small complete options of a method."""
    found: dict[str, Any] = plugins.load("methods", method).complete(OPTIONS.get(method, {}))
    return found


def steps(model: TaskModel, inputs: Batch, count: int = 3) -> None:
    """Train a model for some steps."""
    torch.manual_seed(0)  # dropout
    model.train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.01)
    told = {"targets": torch.arange(8) % 3}
    for _ in range(count):
        optimizer.zero_grad()
        SINGLE.loss(model.outputs(inputs), told, None).backward()
        optimizer.step()
    model.eval()
