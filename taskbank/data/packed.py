"""A batch of inputs laid end to end: what a backbone computes is tokens, never padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

# Within one attention, inputs are padded to the longest: it may be so much longer than the mean.
UNEVEN = 1.25


@dataclass(frozen=True)
class Group:
    """Inputs of similar length, which attend in one call.

    Attributes:
        inputs: how many.
        width: tokens that each is padded to.
        inside: whether there is a token, a boolean tensor [inputs, width]; none if all are full.
    """

    inputs: int
    width: int
    inside: torch.Tensor | None


@dataclass(frozen=True)
class Layout:
    """How the tokens of a batch are arranged for attention, and back.

    Attributes:
        groups: the inputs, by length; the tokens of one group follow those of another.
        spread: for each place of the arrangement the token that stands there, and the number of
            tokens where there is none; none if the tokens stand as they are.
        back: for each token its place in the arrangement.
    """

    groups: tuple[Group, ...]
    spread: torch.Tensor | None
    back: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Some inputs, their tokens one after the other.

    Attributes:
        input_ids: int64, of shape [tokens].
        lengths: tokens of each input, an int64 array of shape [inputs].
        token_type_ids: of shape [tokens], for backbones that tell two texts apart by it.
        states: what enters the lowest layer that is to be computed, of shape [tokens, hidden
            size]; none means that all are.
    """

    input_ids: torch.Tensor
    lengths: np.ndarray
    token_type_ids: torch.Tensor | None = None
    states: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of_padded(
        cls,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> Batch:
        """Return the batch that padded inputs hold.

        Args:
            input_ids: of shape [inputs, tokens].
            attention_mask: of the same shape, 0 where there is padding.
            token_type_ids: of the same shape, or none.
        """
        inside = attention_mask.bool()
        types = None if token_type_ids is None else token_type_ids[inside]
        return cls(input_ids[inside], inside.sum(dim=1).cpu().numpy(), types)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        found = {name: getattr(self, name) for name in ("input_ids", "token_type_ids", "states")}
        return replace(self, **{n: t.to(device) for n, t in found.items() if t is not None})

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each input begins, of shape [inputs]."""
        starts: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return starts

    @cached_property
    def positions(self) -> torch.Tensor:
        """The place of each token in its input, from 0, of shape [tokens]."""
        places = np.arange(len(self.input_ids)) - np.repeat(self.starts, self.lengths)
        return torch.from_numpy(places).to(self.input_ids.device)

    @cached_property
    def first(self) -> torch.Tensor:
        """The first token of each input, of shape [inputs]."""
        return torch.from_numpy(self.starts).to(self.input_ids.device)

    @cached_property
    def grid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Which token stands where if the inputs are padded, and where there is one at all.

        Two tensors of shape [inputs, longest]; the first has 0 where there is none.
        """
        places = np.arange(self.lengths.max())
        inside = places < self.lengths[:, None]
        index = np.where(inside, self.starts[:, None] + places, 0)
        device = self.input_ids.device
        return torch.from_numpy(index).to(device), torch.from_numpy(inside).to(device)

    def padded(self, values: torch.Tensor, padding: int = 0) -> torch.Tensor:
        """Return values of each token [tokens, …], padded: of shape [inputs, longest, …]."""
        index, inside = self.grid
        outside = ~inside.view(*inside.shape, *[1] * (values.ndim - 1))
        return values[index].masked_fill(outside, padding)

    @cached_property
    def layout(self) -> Layout:
        """The arrangement of the tokens for attention."""
        order = np.argsort(self.lengths, kind="stable")
        device = self.input_ids.device
        tokens = len(self.input_ids)
        groups, spread, filled = [], [], []
        for rows in _alike(order, self.lengths):
            width = int(self.lengths[rows[-1]])
            inside = np.arange(width) < self.lengths[rows, None]
            whole = bool(inside.all())
            mask = None if whole else torch.from_numpy(inside).to(device)
            groups.append(Group(len(rows), width, mask))
            index = np.where(inside, self.starts[rows, None] + np.arange(width), tokens)
            spread.append(index.ravel())
            filled.append(inside.ravel())
        places, there = np.concatenate(spread), np.concatenate(filled)
        back = np.empty(tokens, dtype=np.int64)
        back[places[there]] = np.flatnonzero(there)
        as_it_is = there.all() and (np.diff(places) == 1).all()
        return Layout(
            tuple(groups),
            None if as_it_is else torch.from_numpy(places).to(device),
            torch.from_numpy(back).to(device),
        )


def _alike(order: np.ndarray, lengths: np.ndarray) -> Sequence[np.ndarray]:
    """Cut inputs that are ordered by length where one would be padded by too much."""
    parts, start, total = [], 0, 0
    for place, row in enumerate(order):
        length = int(lengths[row])
        if place > start and length * (place - start + 1) > UNEVEN * (total + length):
            parts.append(order[start:place])
            start, total = place, 0
        total += length
    parts.append(order[start:])
    return parts


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one batch of the inputs of several, in their order."""

    def one(name: str) -> torch.Tensor | None:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else torch.cat(parts)

    ids = one("input_ids")
    assert ids is not None  # noqa: S101 - every batch has them
    lengths = np.concatenate([batch.lengths for batch in batches])
    return Batch(ids, lengths, one("token_type_ids"), one("states"))
