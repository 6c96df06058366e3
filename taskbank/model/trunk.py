"""What enters the lowest adapted layer: the same for every task over the same texts.

Below that layer nothing is trained. Dropout is off there, as it is frozen: it would only add noise
to what is learned from, and there would be no states that epochs, trials and tasks could share.
States are kept in memory while they are used, and in the cache for the next time; they are named
by everything that their last bit depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.backbone.backbone import TRUNK_MEMORY, Backbone
from taskbank.backbone.forward import trunk_states
from taskbank.data.encoded import Encoded, States
from taskbank.digests import digest_json
from taskbank.model.predict import batches_of
from taskbank.runtime import disk_cache as cache
from taskbank.runtime.environment import numerics

if TYPE_CHECKING:
    from taskbank.model.task_model import TaskModel


def with_trunk(model: TaskModel, encoded: Encoded, *, stored: bool = True) -> Encoded:
    """Return inputs with what enters the lowest layer that a task adapts, if that saves anything.

    Args:
        model: of the task.
        encoded: the inputs.
        stored: whether the cache is used besides memory.
    """
    if not model.has_trunk:
        return encoded
    backbone, layer = model.backbone, model.adaptation.lowest
    key = _key(backbone, encoded, layer)
    values = backbone.trunk_states.find(key)
    if values is None:
        values = _made(backbone, encoded, layer, key if stored else None)
        if values is None:  # too many for memory, and not to be stored: anew with every batch
            return encoded
        if values.nbytes <= TRUNK_MEMORY:
            values = backbone.trunk_states.keep(key, values)
    # In the batches of an evaluation, so that its bits are the same with and without.
    return replace(encoded, states=_states(encoded, batches_of(encoded.lengths), values))


def raised(
    backbone: Backbone, encoded: Encoded, rows: np.ndarray, layer: int, start: int = 0
) -> Encoded:
    """Return inputs with what enters a layer of the bare backbone, in memory.

    Args:
        backbone: frozen.
        encoded: the inputs; where they have states, these are what enters the layer to start from.
        rows: positions of the inputs that are needed.
        layer: from 0.
        start: the lowest layer that is computed.
    """
    batches = [rows[some] for some in batches_of(encoded.lengths[rows])]
    values = torch.cat(list(_computed(backbone, encoded, batches, layer, start)))
    return replace(encoded, states=_states(encoded, batches, values))


def _states(encoded: Encoded, batches: Sequence[np.ndarray], values: torch.Tensor) -> States:
    order = np.concatenate(batches)
    starts = np.full(len(encoded), -1)
    starts[order] = np.cumsum(encoded.lengths[order]) - encoded.lengths[order]
    return States(values, starts)


def _key(backbone: Backbone, encoded: Encoded, layer: int) -> str:
    kind = numerics(str(backbone.device)) | {"threads": torch.get_num_threads()}
    return digest_json([backbone.identity.fingerprint, layer, encoded.digest, kind])


def _made(backbone: Backbone, encoded: Encoded, layer: int, key: str | None) -> torch.Tensor | None:
    """Return states from the cache, or computed and put there; none if there is no room."""
    shape = (int(encoded.offsets[-1]), backbone.identity.hidden_size)
    size = shape[0] * shape[1] * 4
    path = None if key is None else cache.find("states", key)
    if path is not None:
        return _mapped(path, shape)
    computed = _computed(backbone, encoded, batches_of(encoded.lengths), layer)
    if size <= TRUNK_MEMORY:
        values = torch.cat(list(computed))
        if key is not None:
            cache.store("states", key, size, [values.numpy().data.cast("B")])
        return values
    if key is not None:
        path = cache.store("states", key, size, (c.numpy().data.cast("B") for c in computed))
    return None if path is None else _mapped(path, shape)


def _computed(
    backbone: Backbone,
    encoded: Encoded,
    batches: Sequence[np.ndarray],
    layer: int,
    start: int = 0,
) -> Iterator[torch.Tensor]:
    for rows in batches:
        batch = encoded.batch(rows).to(backbone.device)
        yield trunk_states(backbone, batch, layer, start).cpu()


def _mapped(path: Path, shape: tuple[int, int]) -> torch.Tensor:
    # Never written to: private pages, so that torch sees an array that it may hold.
    return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="c", shape=shape))
