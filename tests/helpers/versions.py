"""Versions of a task that answer so many examples rightly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from safetensors.numpy import load, save

from taskbank.bank.new_records import NewAdapter
from taskbank.data.examples import Examples
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.training.evaluation import measure
from tests.helpers.adapters import DEFINITION, new_adapter

EXAMPLES = 40


def version(
    right: int, *, definition: Definition = DEFINITION, labels: tuple[str, ...] = (), seed: int = 0
) -> NewAdapter:
    """Return an adapter that answers so many of the first examples rightly, and the rest not."""
    labels = labels or tuple(DEFINITION.labels[row % 2] for row in range(EXAMPLES))
    columns = {"text": tuple(f"text {row}" for row in range(len(labels))), "label": labels}
    examples = Examples(columns, "test.csv")
    targets = [definition.labels.index(label) for label in labels]
    logits = np.zeros((len(labels), len(definition.labels)), dtype=np.float32)
    for row, target in enumerate(targets):
        logits[row, target if row < right else (target + 1) % len(definition.labels)] = 2
    base = new_adapter(seed=seed)
    split = replace(
        base.splits[0],
        rows=len(labels),
        examples=examples.to_bytes(),
        logits=save({"logits": logits}),
    )
    weights = load(base.weights)
    weights["head.weight"] = np.resize(weights["head.weight"], (len(definition.labels), 4))
    weights["head.bias"] = np.zeros(len(definition.labels), dtype=np.float32)
    return replace(
        base,
        definition=definition,
        splits=(split,),
        metrics=tuple(measure(SINGLE, "test", logits, columns, definition)),
        weights=save(weights),
        parameters=sum(one.size for one in weights.values()),
    )
