"""Tokenised inputs in flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from taskbank.data.packed import Batch
from taskbank.digests import digest_bytes, digest_json


@dataclass(frozen=True)
class States:
    """Hidden states of every token of some inputs, as they were computed.

    Attributes:
        values: float32, of shape [all tokens, hidden size].
        starts: where the tokens of each input begin, of shape [inputs].
    """

    values: torch.Tensor
    starts: np.ndarray

    def of(self, rows: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """Return the states of some inputs, one after the other.

        Args:
            rows: positions of inputs, of shape [batch].
            lengths: tokens of each, of shape [batch].
        """
        return self.values[torch.from_numpy(ranges(self.starts[rows], lengths))]


@dataclass(frozen=True)
class Encoded:
    """Tokenised inputs, flat: those of input `i` are `[offsets[i]:offsets[i + 1]]`.

    An input is an example, or one of the windows that a long example is cut into.

    Attributes:
        flat: `input_ids` and, where the tokenizer makes them, `token_type_ids`, each an int32
            array of shape [all tokens].
        offsets: int64, of shape [inputs + 1].
        rows: what the loss is told of each input, arrays of shape [inputs, …].
        tokens: what the loss is told of each token, arrays of shape [all tokens]; 0 where there
            is padding.
        places: where the tokens stand in the examples, in whatever form a kind needs it.
        states: what enters the lowest layer that is to be computed; none means that all are.
    """

    flat: Mapping[str, np.ndarray]
    offsets: np.ndarray
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    tokens: Mapping[str, np.ndarray] = field(default_factory=dict)
    places: Any = None
    states: States | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each input, of shape [inputs]."""
        return np.diff(self.offsets)

    @cached_property
    def digest(self) -> str:
        """Digest of the tokens: inputs with the same one are the same to a backbone."""
        arrays = [self.offsets, *(self.flat[name] for name in sorted(self.flat))]
        parts = [digest_bytes(np.ascontiguousarray(one).data.cast("B")) for one in arrays]
        return digest_json(parts)

    def index(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where the tokens of some inputs are in the flat arrays.

        Args:
            rows: positions of inputs, of shape [batch].

        Returns:
            two arrays of shape [batch, tokens]: the index, and whether there is a token at all.
        """
        starts, lengths = self.offsets[rows], self.lengths[rows]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        return np.where(inside, starts[:, None] + places, 0), inside

    def where(self, rows: np.ndarray) -> np.ndarray:
        """Return where the tokens of some inputs are in the flat arrays, one after the other.

        Args:
            rows: positions of inputs, of shape [batch].
        """
        return ranges(self.offsets[rows], self.lengths[rows])

    def batch(self, rows: np.ndarray) -> Batch:
        """Return some inputs.

        Args:
            rows: positions of inputs, of shape [batch].
        """
        where = self.where(rows)
        found = {name: torch.from_numpy(values[where]).long() for name, values in self.flat.items()}
        lengths = self.lengths[rows]
        states = None if self.states is None else self.states.of(rows, lengths)
        return Batch(lengths=lengths, states=states, **found)

    def supervision(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return what the loss is told of some inputs.

        Args:
            rows: positions of inputs, of shape [batch].

        Returns:
            tensors of shape [batch, …], and of shape [batch, tokens] what is told of tokens.
        """
        found = {name: torch.from_numpy(values[rows]) for name, values in self.rows.items()}
        if self.tokens:
            index, inside = self.index(rows)
            for name, values in self.tokens.items():
                nothing = values.dtype.type(0)
                found[name] = torch.from_numpy(np.where(inside, values[index], nothing))
        return found


def concatenated(parts: Sequence[Encoded]) -> Encoded:
    """Return the inputs of several, one after the other, without what a loss is told of them.

    Args:
        parts: inputs of one tokenizer.
    """
    flat = {name: np.concatenate([one.flat[name] for one in parts]) for name in parts[0].flat}
    lengths = np.concatenate([one.lengths for one in parts])
    return Encoded(flat, np.concatenate([[0], np.cumsum(lengths)]))


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return `starts[0], starts[0] + 1, …`, each range of its length, one after the other."""
    before = np.cumsum(lengths) - lengths
    ranges: np.ndarray = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return ranges
