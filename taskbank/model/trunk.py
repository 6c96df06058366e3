"""The trunk: the layers below the lowest adapted one, the same for every task.

The trunk is frozen and computed without dropout, which would only add noise to the training's
inputs and leave no states for epochs, trials and tasks to share. The states that it computes are
kept in memory during use and in the disk cache for later; their key covers everything that their
last bit depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.backbone.backbone import TRUNK_MEMORY, Backbone
from taskbank.backbone.forward import BackboneOutput, trunk_states
from taskbank.data.encoded import Encoded, States
from taskbank.digests import digest_json
from taskbank.model.predict import prediction_batches
from taskbank.runtime import disk_cache as cache
from taskbank.runtime.environment import numerics

if TYPE_CHECKING:
    from taskbank.model.stored_model import StoredModel


def add_trunk_states(model: StoredModel, encoded: Encoded, *, stored: bool = True) -> Encoded:
    """Add the trunk's states to inputs, if the task has a trunk and they can be stored.

    If the task changes nothing and reads one vector of each input, the result has one token for
    each input, whose state is what the vector is made of.

    Args:
        model: the task's model.
        encoded: the inputs.
        stored: whether to use the disk cache besides memory.
    """
    if not model.has_trunk:
        return encoded
    backbone, layer = model.backbone, model.adaptation.lowest_layer
    pooled = not (model.adaptation.changes or model.per_token)
    key = _key(backbone, encoded, layer, pooled=pooled)
    values = backbone.trunk_states.find(key)
    if values is None and pooled:
        values = _pool(backbone, encoded)
    elif values is None:
        values = _load_or_compute(backbone, encoded, layer, key if stored else None)
        if values is None:  # too large to keep: computed with every batch
            return encoded
        if values.nbytes <= TRUNK_MEMORY:
            values = backbone.trunk_states.keep(key, values)
    if pooled:
        rows = np.arange(len(encoded))
        first = {name: tokens[encoded.offsets[:-1]] for name, tokens in encoded.flat.items()}
        one_each = replace(encoded, flat=first, offsets=np.arange(len(encoded) + 1))
        return replace(one_each, states=States(values, rows))
    # In evaluation batches, so that stored states do not change the bits of an evaluation.
    return replace(encoded, states=_states(encoded, prediction_batches(encoded.lengths), values))


def advance(
    backbone: Backbone, encoded: Encoded, rows: np.ndarray, layer: int, start: int = 0
) -> Encoded:
    """Advance inputs through layers of the bare backbone, keeping their states in memory.

    Args:
        backbone: the frozen backbone.
        encoded: the inputs; their states, if any, are the inputs of the layer `start`.
        rows: positions of the inputs to advance.
        layer: the layer, from 0, whose inputs are returned as states.
        start: the lowest layer to compute.
    """
    batches = [rows[batch] for batch in prediction_batches(encoded.lengths[rows])]
    values = torch.cat(list(_compute(backbone, encoded, batches, layer, start)))
    return replace(encoded, states=_states(encoded, batches, values))


def _states(encoded: Encoded, batches: Sequence[np.ndarray], values: torch.Tensor) -> States:
    order = np.concatenate(batches)
    starts = np.full(len(encoded), -1)
    starts[order] = np.cumsum(encoded.lengths[order]) - encoded.lengths[order]
    return States(values, starts)


def _pool(backbone: Backbone, encoded: Encoded) -> torch.Tensor:
    """Return the mean of each input's last states, or the first of them, as the pooling has it.

    A pooler reads the first one.
    """
    values = torch.empty(len(encoded), backbone.identity.hidden_size)
    pooling = "mean" if backbone.identity.pooling == "mean" else "first"
    for rows in prediction_batches(encoded.lengths):
        batch = encoded.batch(rows).to(backbone.device)
        states = trunk_states(backbone, batch, backbone.identity.layers)
        values[rows] = BackboneOutput(batch, states, pooling, None).vectors.cpu()
    return values


def _key(backbone: Backbone, encoded: Encoded, layer: int, *, pooled: bool = False) -> str:
    conditions = numerics(str(backbone.device)) | {"threads": torch.get_num_threads()}
    if pooled:
        conditions["pooled"] = True
    return digest_json([backbone.identity.fingerprint, layer, encoded.digest, conditions])


def _load_or_compute(
    backbone: Backbone, encoded: Encoded, layer: int, key: str | None
) -> torch.Tensor | None:
    """Return states from the cache, or compute and cache them; None if they are too large."""
    shape = (int(encoded.offsets[-1]), backbone.identity.hidden_size)
    size = shape[0] * shape[1] * 4
    path = None if key is None else cache.find("states", key)
    if path is not None:
        return _map_file(path, shape)
    chunks = _compute(backbone, encoded, prediction_batches(encoded.lengths), layer)
    if size <= TRUNK_MEMORY:
        values = torch.cat(list(chunks))
        if key is not None:
            cache.store("states", key, size, [values.numpy().data.cast("B")])
        return values
    if key is not None:
        path = cache.store("states", key, size, (chunk.numpy().data.cast("B") for chunk in chunks))
    return None if path is None else _map_file(path, shape)


def _compute(
    backbone: Backbone,
    encoded: Encoded,
    batches: Sequence[np.ndarray],
    layer: int,
    start: int = 0,
) -> Iterator[torch.Tensor]:
    for rows in batches:
        batch = encoded.batch(rows).to(backbone.device)
        yield trunk_states(backbone, batch, layer, start).cpu()


def _map_file(path: Path, shape: tuple[int, int]) -> torch.Tensor:
    # Copy-on-write pages, never written to: torch requires a writable array.
    return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="c", shape=shape))
