"""Tokenises once, and cuts into batches of similar length. Knows nothing of tasks.

Attention pads to the longest of a batch, so batches of similar length waste little of it;
training batches stay random because only a bucket of some dozen batches is sorted at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch

from taskbank.batch import Batch
from taskbank.errors import DataError, InputError

BUCKET = 32  # batches of training data that are sorted by length together
CHUNK = 4096  # texts tokenised at once


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
        states: what enters the lowest layer that is to be computed, of shape [all tokens, hidden
            size]; none means that all are.
    """

    flat: Mapping[str, np.ndarray]
    offsets: np.ndarray
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    tokens: Mapping[str, np.ndarray] = field(default_factory=dict)
    places: Any = None
    states: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each input, of shape [inputs]."""
        return np.diff(self.offsets)

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
        lengths = self.lengths[rows]
        before = np.cumsum(lengths) - lengths
        where: np.ndarray = np.arange(lengths.sum()) + np.repeat(
            self.offsets[rows] - before, lengths
        )
        return where

    def batch(self, rows: np.ndarray) -> Batch:
        """Return some inputs.

        Args:
            rows: positions of inputs, of shape [batch].
        """
        where = self.where(rows)
        found = {name: torch.from_numpy(values[where]).long() for name, values in self.flat.items()}
        states = None if self.states is None else self.states[torch.from_numpy(where)]
        return Batch(lengths=self.lengths[rows], states=states, **found)

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


def encode(
    tokenizer: Any,
    columns: Mapping[str, Sequence[str]],
    names: Sequence[str],
    max_length: int,
    rows: Mapping[str, np.ndarray] | None = None,
) -> Encoded:
    """Tokenise every example once, cut to a length.

    Args:
        tokenizer: of the backbone; it is left as it was.
        columns: texts by column.
        names: the one or two columns that make an input.
        max_length: tokens an input is cut to; of a pair, the longer text is cut first.
        rows: what the loss is told of each example.

    Raises:
        InputError: if the tokenizer has no padding token, or `max_length` leaves no room for a
            token of each text.
        DataError: naming the row of an input that has no tokens.
    """
    check_room(tokenizer, len(names), max_length)
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
            _collect(found, parts, lengths)
    if 0 in lengths:
        raise _without_tokens(lengths.index(0))
    return Encoded(*_flat(parts, lengths), rows or {})


@dataclass(frozen=True)
class Window:
    """Where the tokens of one window stand.

    Attributes:
        example: the example that it is of.
        starts: of each token, its first character in the text; -1 for one of the backbone's own
            tokens or of the other text.
        ends: the character after its last, or -1.
    """

    example: int
    starts: np.ndarray
    ends: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Whether each token is one of the text, and of some character of it."""
        inside: np.ndarray = self.starts < self.ends
        return inside


def encode_windows(
    tokenizer: Any,
    texts: Sequence[str],
    max_length: int,
    overlap: int,
    before: Sequence[str] | None = None,
) -> tuple[Encoded, list[Window]]:
    """Tokenise texts of any length, each in as many overlapping windows as it takes.

    Args:
        tokenizer: of the backbone, a fast one; it is left as it was.
        texts: what is cut into windows.
        max_length: tokens of a window.
        overlap: tokens that one window has in common with the next.
        before: a text that comes before each window, such as a question.

    Raises:
        InputError: if the tokenizer has no padding token or cannot say where its tokens stand, or
            `max_length` leaves no room for a token of each text.
        DataError: naming the row of a text that has no tokens.
    """
    check_room(tokenizer, 1 if before is None else 2, max_length)
    _check_places(tokenizer)
    parts: dict[str, list[np.ndarray]] = {}
    lengths: list[int] = []
    windows: list[Window] = []
    own = 0 if before is None else 1
    with _left_alone(tokenizer):
        for start in range(0, len(texts), CHUNK):
            pieces = [list(texts[start : start + CHUNK])]
            if before is not None:
                pieces.insert(0, list(before[start : start + CHUNK]))
            found = tokenizer(
                *pieces,
                truncation="only_first" if before is None else "only_second",
                max_length=max_length,
                stride=overlap,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
                return_attention_mask=False,
            )
            for number, example in enumerate(found["overflow_to_sample_mapping"]):
                places = np.array(found["offset_mapping"][number], dtype=np.int64).reshape(-1, 2)
                inside = np.array([one == own for one in found.sequence_ids(number)])
                places = np.where(inside[:, None], places, -1)
                windows.append(Window(start + example, places[:, 0], places[:, 1]))
            _collect(found, parts, lengths)
    if 0 in lengths:
        raise _without_tokens(windows[lengths.index(0)].example)
    return Encoded(*_flat(parts, lengths), places=windows), windows


def cut(tokenizer: Any, texts: Sequence[str], tokens: int) -> list[str]:
    """Return the beginnings of texts, with no more than some tokens each.

    Args:
        tokenizer: of the backbone, a fast one; it is left as it was.
        texts: what is cut.
        tokens: how many are kept, without the backbone's own.

    Raises:
        InputError: if the tokenizer cannot say where its tokens stand.
    """
    _check_places(tokenizer)
    kept: list[str] = []
    with _left_alone(tokenizer):
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            found = tokenizer(
                chunk,
                add_special_tokens=False,
                return_offsets_mapping=True,
                return_attention_mask=False,
                verbose=False,  # that a text is longer than the model takes is no news here
            )
            for text, places in zip(chunk, found["offset_mapping"], strict=True):
                count = min(tokens, len(places))
                # A character that is several tokens is kept whole or not at all.
                while 0 < count < len(places) and places[count][0] < places[count - 1][1]:
                    count -= 1
                end = places[count - 1][1] if count else 0
                kept.append(text if count == len(places) else text[:end])
    return kept


def check_room(tokenizer: Any, texts: int, max_length: int) -> None:
    """Raise unless inputs of a length can be made of some texts each.

    Raises:
        InputError: if the tokenizer has no padding token, or `max_length` leaves no room for a
            token of each text.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(
            "the backbone's tokenizer has no padding token: set pad_token in its "
            "tokenizer_config.json"
        )
    needed = tokenizer.num_special_tokens_to_add(pair=texts > 1) + texts
    if max_length < needed:
        raise InputError(
            f"max_length is {max_length}: with the tokens that the backbone adds, an input of "
            f"{texts} text{'s' if texts > 1 else ''} needs at least {needed}"
        )


def _check_places(tokenizer: Any) -> None:
    if not tokenizer.is_fast:
        raise InputError(
            f"the backbone's tokenizer ({type(tokenizer).__name__}) does not say where in a text "
            "its tokens stand: save it with a tokenizer.json"
        )


def _without_tokens(example: int) -> DataError:
    return DataError(
        f"row {example + 1} has no tokens: the backbone's tokenizer knows nothing in it; leave it "
        "out"
    )


def _collect(found: Any, parts: dict[str, list[np.ndarray]], lengths: list[int]) -> None:
    lengths += [len(ids) for ids in found["input_ids"]]
    for name in ("input_ids", "token_type_ids"):
        if name in found:
            flat = np.fromiter(chain.from_iterable(found[name]), dtype=np.int32)
            parts.setdefault(name, []).append(flat)


def _flat(
    parts: Mapping[str, list[np.ndarray]], lengths: Sequence[int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    return (
        {name: np.concatenate(chunks) for name, chunks in parts.items()},
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
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
