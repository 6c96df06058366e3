"""Predicts for many tasks at once: rows of one batch belong to different tasks.

Texts that several tasks read go through the layers below the lowest adapted one once. Above it the
backbone's products run over the rows of all tasks, and only what a task changes is computed for
its rows alone. Knows nothing of banks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import compute
from taskbank.backbone.hooks import Part
from taskbank.data.batches import cut
from taskbank.data.encoded import Encoded, concatenated
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import TaskModel
from taskbank.model.trunk import raised

# Of a batch, at most. More is no quicker, and larger tensors leave larger holes in the heap, by
# which memory grows with the number of tasks though nothing is kept.
INPUTS, TOKENS = 64, 1024


@dataclass(frozen=True)
class Asked:
    """What one task is to predict.

    Attributes:
        model: of the task.
        encoded: the inputs.
    """

    model: TaskModel
    encoded: Encoded


@torch.inference_mode()
def predict_mixed(backbone: Backbone, asked: Sequence[Asked]) -> list[np.ndarray]:
    """Return the outputs of several tasks on one backbone, each for its own inputs.

    They are those that each task gives alone, but for rounding.

    Args:
        backbone: that all of the models are on.
        asked: what is to be predicted.

    Returns:
        float32 outputs of each, as `taskbank.model.predict.predict_outputs` gives them.
    """
    found: dict[int, np.ndarray] = {}
    mixed = [number for number, one in enumerate(asked) if one.model.mixes]
    if len(mixed) > 1:
        outputs = _mixed(backbone, [asked[number] for number in mixed])
        found |= dict(zip(mixed, outputs, strict=True))
    return [
        found[number] if number in found else predict_outputs(one.model, one.encoded)
        for number, one in enumerate(asked)
    ]


def _mixed(backbone: Backbone, asked: Sequence[Asked]) -> list[np.ndarray]:
    distinct = {one.encoded.digest: one.encoded for one in asked}
    texts = concatenated(list(distinct.values()))
    ends = np.cumsum([len(encoded) for encoded in distinct.values()])
    rows_of = dict(zip(distinct, np.split(np.arange(len(texts)), ends[:-1]), strict=True))
    rows = [rows_of[one.encoded.digest] for one in asked]
    found: list[list[np.ndarray]] = [[] for _ in asked]
    lowest = np.array([one.model.adaptation.lowest for one in asked])
    start = 0
    for layer in np.unique(lowest).tolist():
        if layer > 0:
            above = np.flatnonzero(lowest >= layer)
            needed = np.unique(np.concatenate([rows[number] for number in above]))
            texts, start = raised(backbone, texts, needed, layer, start), layer
        numbers = np.flatnonzero(lowest == layer)
        # A task's rows stay together: without padding, nothing is gained by an order by length.
        owners = np.repeat(numbers, [len(rows[number]) for number in numbers])
        own = np.concatenate([rows[number] for number in numbers])
        for some in cut(np.arange(len(own)), texts.lengths[own], INPUTS, TOKENS):
            present, counts = np.unique(owners[some], return_counts=True)
            models = [asked[number].model for number in present]
            outputs = _outputs(backbone, texts, own[some], models, counts)
            for number, values in zip(present, outputs, strict=True):
                found[number].append(values)
    return [np.concatenate(parts) for parts in found]


def _outputs(
    backbone: Backbone,
    texts: Encoded,
    rows: np.ndarray,
    models: Sequence[TaskModel],
    counts: np.ndarray,
) -> list[np.ndarray]:
    """Return the outputs of a batch, by model, of which each has so many of the rows."""
    batch = texts.batch(rows).to(backbone.device)
    parts = [Part(n, model.adaptation) for n, model in zip(counts.tolist(), models, strict=True)]
    computed = compute(backbone, batch, parts).divided(parts)
    outputs = [model.read(own) for model, own in zip(models, computed, strict=True)]
    return [values.float().cpu().numpy() for values in outputs]
