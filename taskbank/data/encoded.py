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
    """Hidden states of every token of some inputs, in the order of computation.

    Attributes:
        values: float32, of shape [all tokens, hidden size].
        starts: index of each input's first token, of shape [inputs].
    """

    values: torch.Tensor
    starts: np.ndarray

    def select(self, rows: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """Return the states of some inputs, concatenated.

        Args:
            rows: positions of the inputs, of shape [batch].
            lengths: number of tokens of each input, of shape [batch].
        """
        return self.values[torch.from_numpy(concatenate_ranges(self.starts[rows], lengths))]


@dataclass(frozen=True)
class Encoded:
    """Tokenised inputs in flat arrays: input `i` has the tokens `[offsets[i]:offsets[i + 1]]`.

    An input is an example, or one window of a long example.

    Attributes:
        flat: `input_ids` and, if the tokenizer returns them, `token_type_ids`, each an int32
            array of shape [all tokens].
        offsets: int64, of shape [inputs + 1].
        input_targets: the loss's targets per input, arrays of shape [inputs, …].
        token_targets: the loss's targets and masks per token, arrays of shape [all tokens, …]; the
            value for padding is 0.
        alignment: which words or characters of the examples the tokens come from, in a form that
            the kind chooses.
        states: the inputs of the lowest layer to compute. None means that every layer is computed.
        truncated: the positions of the examples of which some tokens were left out, int64.
    """

    flat: Mapping[str, np.ndarray]
    offsets: np.ndarray
    input_targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    token_targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    alignment: Any = None
    states: States | None = None
    truncated: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each input, of shape [inputs]."""
        return np.diff(self.offsets)

    @cached_property
    def digest(self) -> str:
        """Digest of the tokens: a backbone computes the same for inputs of equal digest."""
        arrays = [self.offsets, *(self.flat[name] for name in sorted(self.flat))]
        parts = [digest_bytes(np.ascontiguousarray(array).data.cast("B")) for array in arrays]
        return digest_json(parts)

    def padded_index(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the padded index of some inputs' tokens into the flat arrays.

        Args:
            rows: positions of the inputs, of shape [batch].

        Returns:
            two arrays of shape [batch, tokens]: the index, and a mask that is false for padding.
        """
        starts, lengths = self.offsets[rows], self.lengths[rows]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        return np.where(inside, starts[:, None] + places, 0), inside

    def token_index(self, rows: np.ndarray) -> np.ndarray:
        """Return the index of some inputs' tokens into the flat arrays, without padding.

        Args:
            rows: positions of the inputs, of shape [batch].
        """
        return concatenate_ranges(self.offsets[rows], self.lengths[rows])

    def batch(self, rows: np.ndarray) -> Batch:
        """Return some inputs as a batch.

        Args:
            rows: positions of the inputs, of shape [batch].
        """
        lengths = self.lengths[rows]
        index = concatenate_ranges(self.offsets[rows], lengths)
        tensors = {
            name: torch.from_numpy(values[index]).long() for name, values in self.flat.items()
        }
        states = None if self.states is None else self.states.select(rows, lengths)
        return Batch(lengths=lengths, states=states, **tensors)

    def supervision(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return the targets of some inputs.

        Args:
            rows: positions of the inputs, of shape [batch].

        Returns:
            tensors of shape [batch, …] for targets per input, [batch, tokens, …] per token.
        """
        targets = {
            name: torch.from_numpy(values[rows]) for name, values in self.input_targets.items()
        }
        if self.token_targets:
            index, inside = self.padded_index(rows)
            for name, values in self.token_targets.items():
                padded = values[index]
                padded[~inside] = 0
                targets[name] = torch.from_numpy(padded)
        return targets


def concatenate(parts: Sequence[Encoded]) -> Encoded:
    """Return the inputs of several `Encoded`, in their order, without targets.

    Args:
        parts: inputs from the same tokenizer.
    """
    flat = {name: np.concatenate([part.flat[name] for part in parts]) for name in parts[0].flat}
    lengths = np.concatenate([part.lengths for part in parts])
    return Encoded(flat, np.concatenate([[0], np.cumsum(lengths)]))


def split(encoded: Encoded, sizes: Sequence[int]) -> list[Encoded]:
    """Return consecutive parts of inputs, without targets.

    Args:
        encoded: the inputs, one per example.
        sizes: number of inputs of each part; together all of them.
    """
    parts = []
    stop = 0
    for size in sizes:
        start, stop = stop, stop + size
        first, last = encoded.offsets[start], encoded.offsets[stop]
        flat = {name: values[first:last] for name, values in encoded.flat.items()}
        inside = (encoded.truncated >= start) & (encoded.truncated < stop)
        truncated = encoded.truncated[inside] - start
        parts.append(Encoded(flat, encoded.offsets[start : stop + 1] - first, truncated=truncated))
    return parts


def concatenate_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the concatenated ranges `starts[i], starts[i] + 1, …`, each of its length."""
    before = np.cumsum(lengths) - lengths
    ranges: np.ndarray = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return ranges
