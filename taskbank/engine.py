"""Computes a backbone for a batch whose rows may belong to different tasks.

The backbone's own products run once over all tokens; where a task changes a module, its rows are
computed with its change. The model is hooked into for the time of one call and is as it was
afterwards, so that any number of tasks may be at hand at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from taskbank.backbone import Backbone
from taskbank.batch import Batch
from taskbank.methods.method import Adaptation, Change

UNCHANGED = Change()
Enter = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Part:
    """Rows of a batch that belong to one task.

    Attributes:
        inputs: how many.
        adaptation: of their task; none for the bare backbone.
    """

    inputs: int
    adaptation: Adaptation | None = None


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
        with _hooked(backbone, batch, parts, enter, skipped):
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


# Hooking in


@contextmanager
def _hooked(
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Part],
    enter: dict[str, Enter],
    skipped: Sequence[int],
) -> Iterator[None]:
    """Put tasks' changes in the way of a model's modules while it lasts."""
    passed = {backbone.layer(number) for number in skipped}
    changed = [part.adaptation.changes if part.adaptation else {} for part in parts]
    paths = dict.fromkeys([*passed, *enter, *(path for changes in changed for path in changes)])
    sizes = _Sizes(batch, parts)
    modules = []
    try:
        for path in paths:
            module = backbone.model.get_submodule(path)
            place = _Place(
                module.forward,
                [changes.get(path, UNCHANGED) for changes in changed],
                sizes,
                enter.get(path),
            )
            if path in passed:
                place.original = _pass_pair if backbone.architecture.pairs else _pass
            modules.append(module)
            # Found before the method of the class, and gone without a trace.
            module.__dict__["forward"] = place
        yield
    finally:
        for module in modules:
            del module.__dict__["forward"]


def _pass(states: torch.Tensor, *_others: Any, **_more: Any) -> torch.Tensor:
    return states


def _pass_pair(states: torch.Tensor, *_others: Any, **_more: Any) -> tuple[torch.Tensor, None]:
    return states, None


class _Sizes:
    """How the rows of a batch are divided among its parts."""

    def __init__(self, batch: Batch, parts: Sequence[Part]) -> None:
        self.rows = [part.inputs for part in parts]
        ends = [sum(self.rows[: number + 1]) for number in range(len(parts))]
        self.tokens = [
            int(batch.lengths[e - n : e].sum()) for e, n in zip(ends, self.rows, strict=True)
        ]

    def divide(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the values of each part: of its tokens if all are in one row, else of its rows."""
        if values.ndim == 3 and values.shape[0] == 1:
            return torch.split(values, self.tokens, dim=1)
        return torch.split(values, self.rows)

    def join(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return together what was divided."""
        first = values[0]
        return torch.cat(list(values), dim=1 if first.ndim == 3 and first.shape[0] == 1 else 0)


class _Place:
    """A module of the backbone for the time of one call: `forward`, with the tasks' changes."""

    def __init__(
        self,
        original: Callable[..., Any],
        changes: Sequence[Change],
        sizes: _Sizes,
        enter: Enter | None,
    ) -> None:
        self.original, self.changes, self.sizes, self.enter = original, changes, sizes, enter

    def __call__(self, *inputs: Any, **more: Any) -> Any:
        if self.enter is not None:
            inputs = (self.enter(inputs[0]), *inputs[1:])
        if len(self.changes) > 1:
            return self._mixed(*inputs, **more)
        change = self.changes[0] if self.changes else UNCHANGED
        if change.before is not None:
            inputs = (change.before(inputs[0]), *inputs[1:])
        found = (change.instead or self.original)(*inputs, **more)
        return found if change.after is None else change.after(inputs[0], found)

    def _mixed(self, states: torch.Tensor, *others: Any, **more: Any) -> Any:
        changes, sizes = self.changes, self.sizes
        if any(change.before for change in changes):
            states = sizes.join(
                [
                    part if change.before is None else change.before(part)
                    for change, part in zip(changes, sizes.divide(states), strict=True)
                ]
            )
        if any(change.instead for change in changes):
            found = [
                (change.instead or self.original)(part, *others, **more)
                for change, part in zip(changes, sizes.divide(states), strict=True)
            ]
        elif any(change.after for change in changes):
            found = list(sizes.divide(self.original(states, *others, **more)))
        else:
            return self.original(states, *others, **more)
        if any(change.after for change in changes):
            found = [
                out if change.after is None else change.after(part, out)
                for change, part, out in zip(changes, sizes.divide(states), found, strict=True)
            ]
        return sizes.join(found)
