"""Tasks of every kind and method, recorded without training, to be exported."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.numpy import save
from safetensors.torch import save as save_tensors

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewSplit
from taskbank.bank.records import AdapterRecord
from taskbank.data.examples import Examples
from taskbank.digests import digest_json
from taskbank.kinds.canaries import choose_canaries
from taskbank.kinds.kind import Kind
from taskbank.model.ensemble import joined
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import task_model
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure
from tests.helpers.adapters import new_adapter
from tests.helpers.models import options_of
from tests.helpers.rows import labelled

# Short, so that many inputs are cut, or read in several windows.
LENGTH = 7


def put_task(
    bank: Bank,
    backbone: Backbone,
    kind: str,
    method: str,
    *,
    abstain: str | None = None,
    rows: int = 24,
    noise: float = 0.1,
    members: int = 1,
    **options: Any,
) -> AdapterRecord:
    """Record a task, named after its kind and method, with what it predicts of its test rows.

    Args:
        bank: where to.
        backbone: the encoder.
        kind: the kind's name.
        method: the method's name.
        abstain: the rule by which answers are withheld.
        rows: number of rows.
        noise: how far every tensor is moved from its start.
        members: number of trainings.
        options: options of the method.
    """
    used: Kind = plugins.load("kinds", kind)
    columns = labelled(kind, rows, seed=3)
    requested = {} if abstain is None else {"abstain": abstain}
    definition = used.define(columns, "test.jsonl", requested)
    complete = plugins.load("methods", method).complete({**options_of(method), **options})
    each = [task_model(backbone, used, definition, method, complete, n) for n in range(members)]
    model = joined(each, used).eval()
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.trained_tensors().values():
            tensor.add_(noise * torch.randn(tensor.shape, generator=chance))
    encoded = used.encode(backbone.tokenizer, columns, definition, LENGTH, labelled=False)
    predictions = predict_examples(model, used, encoded)
    definition = used.tune(predictions, columns, definition)
    examples = Examples(columns, "test.jsonl")
    canary = choose_canaries(used, predictions, columns, definition)
    split = NewSplit(
        "test", "test.jsonl", rows, examples.to_bytes(), save({"logits": predictions}), canary
    )
    tensors = {name: tensor.contiguous() for name, tensor in model.trained_tensors().items()}
    new = new_adapter(
        f"{kind}-{method}",
        kind=kind,
        backbone=backbone.identity,
        method=MethodSpec(method, complete),
        training=TrainingSpec(max_length=LENGTH, ensemble=members),
        definition=definition,
        metric=used.metric,
        metrics=tuple(measure(used, "test", predictions, columns, definition)),
        splits=(split,),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        weights=save_tensors(tensors),
        request=digest_json([kind, method, complete]),
    )
    return bank.put(new)
