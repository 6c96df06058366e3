"""Tokenises once, and cuts into batches of similar length. Knows nothing of tasks.

Padding goes to the longest of a batch, so batches of similar length waste little of it;
training batches stay random because only a bucket of some dozen batches is sorted at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch

from taskbank.errors import DataError, InputError

BUCKET = 32  # batches of training data that are sorted by length together
CHUNK = 4096  # texts tokenised at once


@dataclass(frozen=True)
class Encoded:
    """Tokenised inputs, flat: those of example `i` are `[offsets[i]:offsets[i + 1]]`.

    Attributes:
        flat: `input_ids` and, where the tokenizer makes them, `token_type_ids`, each an int32
            array of shape [all tokens].
        offsets: int64, of shape [examples + 1].
        padding: what fills the end of shorter inputs: the pad token, and type 0.
    """

    flat: Mapping[str, np.ndarray]
    offsets: np.ndarray
    padding: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, of shape [examples]."""
        return np.diff(self.offsets)

    def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return some examples padded to the longest of them.

        Args:
            rows: positions of examples, of shape [batch].

        Returns:
            `input_ids`, `attention_mask` and maybe `token_type_ids`, int64 tensors of shape
            [batch, tokens].
        """
        starts, lengths = self.offsets[rows], self.lengths[rows]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        # Past an input's end the index is 0: whatever stands there is replaced by padding.
        index = np.where(inside, starts[:, None] + places, 0)
        tensors = {
            name: torch.from_numpy(np.where(inside, values[index], self.padding[name])).long()
            for name, values in self.flat.items()
        }
        tensors["attention_mask"] = torch.from_numpy(inside).long()
        return tensors


def encode(
    tokenizer: Any,
    columns: Mapping[str, Sequence[str]],
    names: Sequence[str],
    max_length: int,
) -> Encoded:
    """Tokenise every example once.

    Args:
        tokenizer: of the backbone; it is left as it was.
        columns: texts by column.
        names: the one or two columns that make an input.
        max_length: tokens an input is cut to; of a pair, the longer text is cut first.

    Raises:
        InputError: if the tokenizer has no padding token, or `max_length` leaves no room for a
            token of each text.
        DataError: naming the row of an input that has no tokens.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(
            "the backbone's tokenizer has no padding token: set pad_token in its "
            "tokenizer_config.json"
        )
    needed = tokenizer.num_special_tokens_to_add(pair=len(names) > 1) + len(names)
    if max_length < needed:
        raise InputError(
            f"max_length is {max_length}: with the tokens that the backbone adds, an input of "
            f"{len(names)} text{'s' if len(names) > 1 else ''} needs at least {needed}"
        )
    texts = [list(columns[name]) for name in names]
    parts: dict[str, list[np.ndarray]] = {}
    lengths: list[int] = []
    with _left_alone(tokenizer):
        for start in range(0, len(texts[0]), CHUNK):
            found = tokenizer(
                *(column[start : start + CHUNK] for column in texts),
                truncation="longest_first",
                max_length=max_length,
                return_attention_mask=False,
            )
            lengths += [len(ids) for ids in found["input_ids"]]
            for name in ("input_ids", "token_type_ids"):
                if name in found:
                    flat = np.fromiter(chain.from_iterable(found[name]), dtype=np.int32)
                    parts.setdefault(name, []).append(flat)
    if 0 in lengths:
        raise DataError(
            f"row {lengths.index(0) + 1} has no tokens: the backbone's tokenizer knows nothing in "
            "it; leave it out"
        )
    padding = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    return Encoded(
        {name: np.concatenate(chunks) for name, chunks in parts.items()},
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        padding,
    )


@contextmanager
def _left_alone(tokenizer: Any) -> Iterator[None]:
    # A call leaves its truncation and padding behind in a fast tokenizer, and in what it saves.
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield
        return
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.no_truncation()
        backend.no_padding()
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def training_batches(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Return an epoch's batches: every example once, in a random order that the seed decides.

    Args:
        lengths: tokens of each example, of shape [examples].
        batch_size: examples a batch; the last may be smaller.
        seed: of the training.
        epoch: its number; each has another order.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    order = generator.permutation(len(lengths))
    bucket = BUCKET * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), bucket):
        rows = order[start : start + bucket]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]


def evaluation_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return batches over all examples, ordered by length so that little is padded.

    Args:
        lengths: tokens of each example, of shape [examples].
        batch_size: examples a batch; the last may be smaller.
    """
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
