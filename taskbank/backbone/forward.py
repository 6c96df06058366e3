"""One pass of the backbone over a batch whose rows may belong to different tasks.

The backbone's own products run once over all tokens; the change of a module by a task is computed
only for the task's rows. The model carries hooks during one call and is unchanged afterwards, so
any number of tasks can share it at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from taskbank.backbone.attention import inputs_end_to_end
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.hooks import change_forwards, changed_paths
from taskbank.backbone.short_pass import OnePass, shadow
from taskbank.data.packed import Batch

if TYPE_CHECKING:
    from taskbank.backbone.hooks import EntryHook, Part
    from taskbank.backbone.short_pass import Forward


@dataclass(frozen=True)
class BackboneOutput:
    """A backbone's output for a batch.

    Attributes:
        batch: the inputs.
        states: the hidden state of each token, of shape [tokens, hidden size].
        pooling: the reduction of an input to one vector: `mean`, `first` or `pooler`.
        pooled: the pooler's output for each input, of shape [inputs, hidden size]; None without a
            pooler.
    """

    batch: Batch
    states: torch.Tensor
    pooling: str
    pooled: torch.Tensor | None

    @property
    def vectors(self) -> torch.Tensor:
        """One vector per input, of shape [inputs, hidden size]."""
        if self.pooled is not None:
            return self.pooled
        if self.pooling == "first":
            return self.states.index_select(0, self.batch.first_tokens)
        lengths = torch.from_numpy(self.batch.lengths).to(self.states.device)
        return torch.segment_reduce(self.states, "mean", lengths=lengths)

    def split(self, parts: Sequence[Part]) -> list[BackboneOutput]:
        """Return the output of each part of the batch."""
        outputs, first_input, first_token = [], 0, 0
        for part in parts:
            last_input = first_input + part.inputs
            lengths = self.batch.lengths[first_input:last_input]
            last_token = first_token + int(lengths.sum())
            batch = Batch(self.batch.input_ids[first_token:last_token], lengths)
            pooled = None if self.pooled is None else self.pooled[first_input:last_input]
            outputs.append(
                BackboneOutput(batch, self.states[first_token:last_token], self.pooling, pooled)
            )
            first_input, first_token = last_input, last_token
        return outputs


def run_backbone(
    backbone: Backbone, batch: Batch, parts: Sequence[Part], *, training: bool = False
) -> BackboneOutput:
    """Run a backbone on a batch, each row with its task's adaptation.

    Args:
        backbone: the frozen backbone; it is unchanged afterwards.
        batch: the inputs. If it has states, they are the inputs of the lowest layer that any of the
            tasks changes, and the layers below are skipped; if no task changes anything, they are
            the backbone's output.
        parts: the batch's parts, one per task, in the order of the rows.
        training: whether to apply dropout.
    """
    start = 0 if batch.states is None else lowest_layer(backbone, parts)
    if start == backbone.identity.layers and batch.states is not None:
        return _output_of_states(backbone, batch, batch.states)
    entry_hooks = _entry_hooks(backbone, batch, start)
    return _run(backbone, batch, parts, entry_hooks, range(start), training=training)


@torch.no_grad()
def trunk_states(backbone: Backbone, batch: Batch, layer: int, start: int = 0) -> torch.Tensor:
    """Return the inputs of a layer of the bare backbone, without dropout.

    Args:
        backbone: the frozen backbone; it is unchanged afterwards.
        batch: the inputs; its states, if any, are the inputs of the layer `start`.
        layer: the layer, from 0; this layer and those above are skipped. The number of layers
            stands for the backbone's output.
        start: the lowest layer to compute.

    Returns:
        a float32 tensor of shape [tokens, hidden size].
    """
    if layer == backbone.identity.layers:
        with torch.autocast(batch.input_ids.device.type, enabled=False):
            hooks = _entry_hooks(backbone, batch, start)
            return _run(backbone, batch, (), hooks, range(start), training=False).states.float()
    captured: list[torch.Tensor] = []

    def capture(states: torch.Tensor) -> torch.Tensor:
        captured.append(states)
        return states

    entry_hooks = _entry_hooks(backbone, batch, start) | {backbone.layer(layer): capture}
    skipped = [*range(start), *range(layer, backbone.identity.layers)]
    with torch.autocast(batch.input_ids.device.type, enabled=False):
        _run(backbone, batch, (), entry_hooks, skipped, training=False)
    return _flat(backbone, batch, captured[0]).float()


def lowest_layer(backbone: Backbone, parts: Sequence[Part]) -> int:
    """Return the lowest layer that any task changes; the number of layers if none does."""
    layers = [part.adaptation.lowest_layer for part in parts if part.adaptation is not None]
    return min(layers, default=backbone.identity.layers)


def _run(
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Part],
    entry_hooks: dict[str, EntryHook],
    skipped: Sequence[int],
    *,
    training: bool,
) -> BackboneOutput:
    if backbone.supports_packing:
        inputs = inputs_end_to_end(batch, backbone.first_position)
        if backbone.identity.pooling == "pooler":
            # The pooler reads the first token of each row, but here all inputs are in one row.
            entry_hooks = entry_hooks | {
                "pooler": lambda states: states[0].index_select(0, batch.first_tokens)[:, None]
            }
    else:
        inputs = _padded_inputs(batch, backbone.tokenizer.pad_token_id)
    skipped_paths = [backbone.layer(number) for number in skipped]
    # A short pass has no dropout, and needs inputs laid end to end.
    short = backbone.short_pass if backbone.supports_packing and not training else None
    paths = changed_paths(parts, entry_hooks, skipped_paths)
    change = partial(
        change_forwards,
        backbone=backbone,
        batch=batch,
        parts=parts,
        entry_hooks=entry_hooks,
        skipped=skipped_paths,
        paths=paths,
    )
    if short is not None and short.suits(paths):
        one_pass = OnePass(short)
        change(one_pass.forwards)
        output: Any = one_pass(**inputs)
    else:
        output = _whole_model(backbone, inputs, change, training=training)
    pooling = backbone.identity.pooling
    pooled = output.pooler_output if pooling == "pooler" else None
    return BackboneOutput(batch, _flat(backbone, batch, output.last_hidden_state), pooling, pooled)


def _output_of_states(backbone: Backbone, batch: Batch, states: torch.Tensor) -> BackboneOutput:
    """Return a batch's output, given the states after the last layer."""
    pooling, pooled = backbone.identity.pooling, None
    if pooling == "pooler":
        first = states.index_select(0, batch.first_tokens)
        pooled = backbone.module("pooler")(first[:, None])
    return BackboneOutput(batch, states, pooling, pooled)


def _whole_model(
    backbone: Backbone,
    inputs: dict[str, Any],
    change: Callable[[dict[str, Forward]], None],
    *,
    training: bool,
) -> Any:
    """Return what transformers computes; the model carries the changes meanwhile."""
    with backbone.lock:
        if backbone.model.training != training:
            backbone.model.train(training)
        forwards: dict[str, Forward] = {}
        change(forwards)
        with shadow({backbone.module(path): forward for path, forward in forwards.items()}):
            return backbone.model(**inputs)


def _padded_inputs(batch: Batch, padding: int) -> dict[str, Any]:
    inputs = {
        "input_ids": batch.pad(batch.input_ids, padding),
        "attention_mask": batch.grid[1].long(),
    }
    if batch.token_type_ids is not None:
        inputs["token_type_ids"] = batch.pad(batch.token_type_ids)
    return inputs


def _entry_hooks(backbone: Backbone, batch: Batch, start: int) -> dict[str, EntryHook]:
    """Return the entry hook that feeds a batch's states, if any, into a layer."""
    states = batch.states
    if states is None:
        return {}
    return {backbone.layer(start): lambda _: _arrange(backbone, batch, states)}


def _flat(backbone: Backbone, batch: Batch, states: torch.Tensor) -> torch.Tensor:
    return states[0] if backbone.supports_packing else states[batch.grid[1]]


def _arrange(backbone: Backbone, batch: Batch, states: torch.Tensor) -> torch.Tensor:
    return states[None] if backbone.supports_packing else batch.pad(states)
