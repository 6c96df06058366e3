"""A batch of inputs laid end to end, so that a backbone computes no padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

# Inputs that attend in one call are padded to the longest; limit on its ratio to the mean length.
MAX_RATIO = 1.25


@dataclass(frozen=True)
class Group:
    """Inputs of similar length that attend in one call.

    Attributes:
        inputs: number of inputs.
        width: number of tokens that each input is padded to.
        mask: boolean tensor [inputs, width], false for padding. None means no padding.
    """

    inputs: int
    width: int
    mask: torch.Tensor | None


@dataclass(frozen=True)
class Layout:
    """The arrangement of a batch's tokens in padded slots for attention.

    Attributes:
        groups: the inputs grouped by length; their slots follow each other in this order.
        slot_tokens: index of each slot's token; the number of tokens for an empty slot. None means
            that the tokens are in order and without padding.
        token_slots: index of each token's slot.
    """

    groups: tuple[Group, ...]
    slot_tokens: torch.Tensor | None
    token_slots: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Some inputs, with their tokens concatenated.

    Attributes:
        input_ids: int64, of shape [tokens].
        lengths: number of tokens of each input, an int64 array of shape [inputs].
        token_type_ids: of shape [tokens], for backbones that tell two texts apart by them.
        states: the inputs of the lowest layer to compute, of shape [tokens, hidden size]. None
            means that every layer is computed.
    """

    input_ids: torch.Tensor
    lengths: np.ndarray
    token_type_ids: torch.Tensor | None = None
    states: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def from_padded(
        cls,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> Batch:
        """Return a batch of padded inputs.

        Args:
            input_ids: of shape [inputs, tokens].
            attention_mask: of the same shape, 0 for padding.
            token_type_ids: of the same shape, or None.
        """
        inside = attention_mask.bool()
        types = None if token_type_ids is None else token_type_ids[inside]
        return cls(input_ids[inside], inside.sum(dim=1).cpu().numpy(), types)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if self.input_ids.device == device:
            return self
        tensors = {name: getattr(self, name) for name in ("input_ids", "token_type_ids", "states")}
        return replace(self, **{n: t.to(device) for n, t in tensors.items() if t is not None})

    @cached_property
    def starts(self) -> np.ndarray:
        """Index of each input's first token, of shape [inputs]."""
        starts: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return starts

    @cached_property
    def positions(self) -> torch.Tensor:
        """Position of each token in its input, from 0, of shape [tokens]."""
        places = np.arange(len(self.input_ids)) - np.repeat(self.starts, self.lengths)
        return torch.from_numpy(places).to(self.input_ids.device)

    @cached_property
    def first_tokens(self) -> torch.Tensor:
        """Index of each input's first token, as a tensor of shape [inputs]."""
        return torch.from_numpy(self.starts).to(self.input_ids.device)

    @cached_property
    def grid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The token of each position of the padded inputs, and a mask that is false for padding.

        Two tensors of shape [inputs, longest]; the first has 0 for padding.
        """
        places = np.arange(self.lengths.max())
        inside = places < self.lengths[:, None]
        index = np.where(inside, self.starts[:, None] + places, 0)
        device = self.input_ids.device
        return torch.from_numpy(index).to(device), torch.from_numpy(inside).to(device)

    def pad(self, values: torch.Tensor, padding: int = 0) -> torch.Tensor:
        """Return values per token [tokens, …] as a padded tensor [inputs, longest, …]."""
        index, inside = self.grid
        outside = ~inside.view(*inside.shape, *[1] * (values.ndim - 1))
        return values[index].masked_fill(outside, padding)

    @cached_property
    def layout(self) -> Layout:
        """The arrangement of the tokens for attention."""
        device = self.input_ids.device
        tokens = len(self.input_ids)
        if (self.lengths == self.lengths[0]).all():  # as of a single input
            group = Group(len(self), int(self.lengths[0]), None)
            return Layout((group,), None, torch.arange(tokens, device=device))
        order = np.argsort(self.lengths, kind="stable")
        groups, slots, filled = [], [], []
        for rows in _group_by_length(order, self.lengths):
            width = int(self.lengths[rows[-1]])
            inside = np.arange(width) < self.lengths[rows, None]
            full = bool(inside.all())
            mask = None if full else torch.from_numpy(inside).to(device)
            groups.append(Group(len(rows), width, mask))
            index = np.where(inside, self.starts[rows, None] + np.arange(width), tokens)
            slots.append(index.ravel())
            filled.append(inside.ravel())
        places, filled_slots = np.concatenate(slots), np.concatenate(filled)
        token_slots = np.empty(tokens, dtype=np.int64)
        token_slots[places[filled_slots]] = np.flatnonzero(filled_slots)
        in_order = filled_slots.all() and (np.diff(places) == 1).all()
        return Layout(
            tuple(groups),
            None if in_order else torch.from_numpy(places).to(device),
            torch.from_numpy(token_slots).to(device),
        )


def _group_by_length(order: np.ndarray, lengths: np.ndarray) -> Sequence[np.ndarray]:
    """Group inputs, ordered by length, so that the padding of each group stays bounded."""
    parts, start, total = [], 0, 0
    for position, row in enumerate(order):
        length = int(lengths[row])
        if position > start and length * (position - start + 1) > MAX_RATIO * (total + length):
            parts.append(order[start:position])
            start, total = position, 0
        total += length
    parts.append(order[start:])
    return parts


def join_batches(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the inputs of several batches, in their order."""

    def tensor(name: str) -> torch.Tensor | None:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else torch.cat(parts)

    ids = tensor("input_ids")
    assert ids is not None  # noqa: S101 - every batch has token ids
    lengths = np.concatenate([batch.lengths for batch in batches])
    return Batch(ids, lengths, tensor("token_type_ids"), tensor("states"))
