"""Predicts for many tasks at once: rows of one batch belong to different tasks.

Texts that several tasks share pass the layers below the lowest adapted layer once. From there on,
the backbone's products run over the rows of all tasks, and each task's changes are computed for
its own rows only. Knows nothing of banks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.hooks import Part
from taskbank.data.batches import split_into_batches
from taskbank.data.encoded import Encoded, concatenate
from taskbank.model.predict import predict_outputs
from taskbank.model.stored_model import StoredModel
from taskbank.model.task_model import TaskModel
from taskbank.model.trunk import advance

# Maximum size of a batch. Larger batches are no faster, and larger tensors fragment the heap, so
# that memory grows with the number of tasks although nothing is kept.
INPUTS, TOKENS = 64, 1024


@dataclass(frozen=True)
class PredictionRequest:
    """A request for one task's predictions.

    Attributes:
        model: the task's model.
        encoded: the inputs.
    """

    model: StoredModel
    encoded: Encoded


@dataclass(frozen=True)
class _MemberRequest:
    """The part of a request that one member of its model answers."""

    model: TaskModel
    encoded: Encoded


@torch.inference_mode()
def predict_mixed(backbone: Backbone, requests: Sequence[PredictionRequest]) -> list[np.ndarray]:
    """Return the outputs of several tasks on one backbone, each task for its own inputs.

    Up to rounding, they equal the outputs of each task alone.

    Args:
        backbone: the backbone of all the models.
        requests: one request per task.

    Returns:
        float32 outputs per request, as `taskbank.model.predict.predict_outputs` returns them.
    """
    # An ensemble is as many tasks over the same texts as it has members.
    parts = [
        _MemberRequest(member, one.encoded) for one in requests for member in one.model.members
    ]
    outputs = iter(_predict_members(backbone, parts))
    return [
        one.model.combine([next(outputs) for _ in one.model.members], one.encoded)
        for one in requests
    ]


def _predict_members(backbone: Backbone, requests: Sequence[_MemberRequest]) -> list[np.ndarray]:
    if len(requests) == 1:  # the usual case of serving, and no reason to ask what mixes
        return [predict_outputs(requests[0].model, requests[0].encoded)]
    outputs_of: dict[int, np.ndarray] = {}
    mixed = [number for number, request in enumerate(requests) if request.model.supports_mixing]
    if len(mixed) > 1:
        outputs = _predict_together(backbone, [requests[number] for number in mixed])
        outputs_of |= dict(zip(mixed, outputs, strict=True))
    return [
        outputs_of[number]
        if number in outputs_of
        else predict_outputs(request.model, request.encoded)
        for number, request in enumerate(requests)
    ]


def _predict_together(backbone: Backbone, requests: Sequence[_MemberRequest]) -> list[np.ndarray]:
    distinct = {request.encoded.digest: request.encoded for request in requests}
    texts = concatenate(list(distinct.values()))
    ends = np.cumsum([len(encoded) for encoded in distinct.values()])
    rows_of = dict(zip(distinct, np.split(np.arange(len(texts)), ends[:-1]), strict=True))
    rows = [rows_of[request.encoded.digest] for request in requests]
    outputs_by_request: list[list[np.ndarray]] = [[] for _ in requests]
    lowest_layers = np.array([request.model.adaptation.lowest_layer for request in requests])
    start = 0
    for layer in np.unique(lowest_layers).tolist():
        if layer > 0:
            above = np.flatnonzero(lowest_layers >= layer)
            needed = np.unique(np.concatenate([rows[number] for number in above]))
            texts, start = advance(backbone, texts, needed, layer, start), layer
        numbers = _by_model(requests, np.flatnonzero(lowest_layers == layer))
        # A task's rows stay together: without padding, sorting by length gains nothing.
        owners = np.repeat(np.arange(len(numbers)), [len(rows[number]) for number in numbers])
        all_rows = np.concatenate([rows[number] for number in numbers])
        for batch in split_into_batches(
            np.arange(len(all_rows)), texts.lengths[all_rows], INPUTS, TOKENS
        ):
            places, counts = np.unique(owners[batch], return_counts=True)
            present = [numbers[place] for place in places]
            models = [requests[number].model for number in present]
            outputs = _outputs(backbone, texts, all_rows[batch], models, counts)
            for number, values in zip(present, outputs, strict=True):
                outputs_by_request[number].append(values)
    return [np.concatenate(parts) for parts in outputs_by_request]


def _by_model(requests: Sequence[_MemberRequest], numbers: np.ndarray) -> list[int]:
    """Return the numbers of requests with those of the same model next to each other."""
    groups: dict[int, list[int]] = {}
    for number in numbers.tolist():
        groups.setdefault(id(requests[number].model), []).append(number)
    return [number for group in groups.values() for number in group]


def _outputs(
    backbone: Backbone,
    texts: Encoded,
    rows: np.ndarray,
    models: Sequence[TaskModel],
    counts: np.ndarray,
) -> list[np.ndarray]:
    """Return the outputs of a batch by request.

    Args:
        backbone: the backbone of all the models.
        texts: the inputs of all requests.
        rows: positions of the batch's inputs, request after request.
        models: the model of each request; those of the same model follow each other.
        counts: number of rows of each request.
    """
    batch = texts.batch(rows).to(backbone.device)
    # Requests of one model are one part: the fewer parts, the fewer and larger the products.
    starts = [n for n, model in enumerate(models) if n == 0 or model is not models[n - 1]]
    ends = [*starts[1:], len(models)]
    spans = list(zip(starts, ends, strict=True))
    parts = [Part(int(counts[i:j].sum()), models[i].adaptation) for i, j in spans]
    outputs: list[np.ndarray] = []
    for (i, j), part in zip(spans, run_backbone(backbone, batch, parts).split(parts), strict=True):
        values = models[i].apply_head(part).float().cpu().numpy()
        last_rows = np.cumsum(counts[i:j])
        tokens = np.concatenate([[0], np.cumsum(part.batch.lengths)])
        last = tokens[last_rows] if models[i].per_token else last_rows
        outputs += np.split(values, last[:-1])
    return outputs
