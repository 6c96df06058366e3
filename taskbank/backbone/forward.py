"""One pass of the backbone over a batch whose rows may belong to different tasks.

The backbone's own products run once over all tokens; where a task changes a module, only its rows
are computed with the change. The model carries hooks for the time of one call and is unchanged
afterwards, so any number of tasks can share it at no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.hooks import hooked
from taskbank.data.packed import Batch

if TYPE_CHECKING:
    from taskbank.backbone.hooks import Enter, Part


@dataclass(frozen=True)
class Computed:
    """What a backbone gives for a batch.

    Attributes:
        batch: the inputs.
        states: of each token, of shape [tokens, hidden size].
        pooling: how a text becomes one vector: `mean`, `first` or `pooler`.
        pooled: what the backbone's pooler makes of each input, of shape [inputs, hidden size];
            none where it has none.
    """

    batch: Batch
    states: torch.Tensor
    pooling: str
    pooled: torch.Tensor | None

    @property
    def vectors(self) -> torch.Tensor:
        """One vector an input, of shape [inputs, hidden size]."""
        if self.pooled is not None:
            return self.pooled
        if self.pooling == "first":
            return self.states.index_select(0, self.batch.first)
        lengths = torch.from_numpy(self.batch.lengths).to(self.states.device)
        return torch.segment_reduce(self.states, "mean", lengths=lengths)

    def divided(self, parts: Sequence[Part]) -> list[Computed]:
        """Return what is of each part."""
        found, first, token = [], 0, 0
        for part in parts:
            last = first + part.inputs
            lengths = self.batch.lengths[first:last]
            end = token + int(lengths.sum())
            batch = Batch(self.batch.input_ids[token:end], lengths)
            pooled = None if self.pooled is None else self.pooled[first:last]
            found.append(Computed(batch, self.states[token:end], self.pooling, pooled))
            first, token = last, end
        return found


def compute(
    backbone: Backbone, batch: Batch, parts: Sequence[Part], *, training: bool = False
) -> Computed:
    """Compute a backbone, each row with the adaptation of its task.

    Args:
        backbone: frozen; it is as before afterwards.
        batch: the inputs. Where it has states, they are what enters the lowest layer that any of
            the tasks changes, and the layers below are not computed.
        parts: of the batch, in the order of its rows, each of another task.
        training: whether dropout is on.
    """
    start = 0 if batch.states is None else lowest_layer(backbone, parts)
    enter = _entering(backbone, batch, start)
    return _computed(backbone, batch, parts, enter, range(start), training=training)


@torch.no_grad()
def trunk_states(backbone: Backbone, batch: Batch, layer: int, start: int = 0) -> torch.Tensor:
    """Return what enters a layer of the bare backbone, dropout off.

    Args:
        backbone: frozen; it is as before afterwards.
        batch: the inputs; where it has states, they are what enters the layer to start from.
        layer: from 0; it and those above are not computed.
        start: the lowest layer that is computed.

    Returns:
        a float32 tensor of shape [tokens, hidden size].
    """
    found: list[torch.Tensor] = []

    def look(states: torch.Tensor) -> torch.Tensor:
        found.append(states)
        return states

    enter = _entering(backbone, batch, start) | {backbone.layer(layer): look}
    skipped = [*range(start), *range(layer, backbone.identity.layers)]
    with torch.autocast(batch.input_ids.device.type, enabled=False):
        _computed(backbone, batch, (), enter, skipped, training=False)
    return _flat(backbone, batch, found[0]).float()


def lowest_layer(backbone: Backbone, parts: Sequence[Part]) -> int:
    """Return the lowest layer that some task changes; so many as there are where none does."""
    found = [part.adaptation.lowest for part in parts if part.adaptation is not None]
    return min(found, default=backbone.identity.layers)


def _computed(
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Part],
    enter: dict[str, Enter],
    skipped: Sequence[int],
    *,
    training: bool,
) -> Computed:
    inputs: dict[str, Any] = {"input_ids": batch.input_ids}
    if batch.token_type_ids is not None:
        inputs["token_type_ids"] = batch.token_type_ids
    if backbone.packs:
        inputs = {name: tensor[None] for name, tensor in inputs.items()}
        inputs["position_ids"] = batch.positions[None] + backbone.first_position
        inputs["layout"] = batch.layout
        if backbone.identity.pooling == "pooler":
            # It takes the first token of each row, and there is one row.
            enter = enter | {
                "pooler": lambda states: states[0].index_select(0, batch.first)[:, None]
            }
    else:
        padding = {"input_ids": backbone.tokenizer.pad_token_id, "token_type_ids": 0}
        inputs = {name: batch.padded(tensor, padding[name]) for name, tensor in inputs.items()}
        inputs["attention_mask"] = batch.grid[1].long()
    with backbone.lock:
        if backbone.model.training != training:
            backbone.model.train(training)
        with hooked(backbone, batch, parts, enter, skipped):
            found = backbone.model(**inputs)
    pooling = backbone.identity.pooling
    pooled = found.pooler_output if pooling == "pooler" else None
    return Computed(batch, _flat(backbone, batch, found.last_hidden_state), pooling, pooled)


def _entering(backbone: Backbone, batch: Batch, start: int) -> dict[str, Enter]:
    """Return what lets a batch's states, if it has any, enter a layer."""
    states = batch.states
    if states is None:
        return {}
    return {backbone.layer(start): lambda _: _arranged(backbone, batch, states)}


def _flat(backbone: Backbone, batch: Batch, states: torch.Tensor) -> torch.Tensor:
    return states[0] if backbone.packs else states[batch.grid[1]]


def _arranged(backbone: Backbone, batch: Batch, states: torch.Tensor) -> torch.Tensor:
    return states[None] if backbone.packs else batch.padded(states)
