"""Tokenises once: texts, pairs, and long texts in windows. Knows nothing of tasks.

What many texts become is kept in the cache, as an Arrow file that is mapped into memory, and
found again by the digest of the texts, the tokenizer and how they are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from taskbank.data.encoded import Encoded
from taskbank.digests import Json, digest_bytes, digest_json
from taskbank.errors import DataError, InputError
from taskbank.runtime import disk_cache as cache

CHUNK = 4096  # texts tokenised at once
KEPT = 1000  # texts from which on looking them up is worth it


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

    def tokenise() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(texts[0]), CHUNK):
            yield _batch(
                tokenizer(
                    *(column[start : start + CHUNK] for column in texts),
                    truncation="longest_first",
                    max_length=max_length,
                    return_attention_mask=False,
                )
            )

    encoded = _encoded(_tokens(tokenizer, texts, [max_length], tokenise()), rows=rows or {})
    _check_tokens(encoded, range(len(encoded)))
    return encoded


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
    own = 0 if before is None else 1

    def tokenise() -> Iterator[pa.RecordBatch]:
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
            examples = np.array(found["overflow_to_sample_mapping"], dtype=np.int64) + start
            starts, ends = [], []
            for number, own_places in enumerate(found["offset_mapping"]):
                places = np.array(own_places, dtype=np.int64).reshape(-1, 2)
                inside = np.array([one == own for one in found.sequence_ids(number)])
                places = np.where(inside[:, None], places, -1)
                starts.append(places[:, 0])
                ends.append(places[:, 1])
            yield _batch(found, starts=_lists(starts), ends=_lists(ends), example=_array(examples))

    given = [texts] if before is None else [before, texts]
    table = _tokens(tokenizer, given, [max_length, overlap], tokenise())
    encoded = _encoded(table)
    examples = _numpy(table["example"].chunk(0))
    _check_tokens(encoded, examples)
    inner = encoded.offsets[1:-1]
    starts, ends = (np.split(_flat(table, name), inner) for name in ("starts", "ends"))
    windows = [Window(*one) for one in zip(examples.tolist(), starts, ends, strict=True)]
    return replace(encoded, places=windows), windows


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


# What a tokenizer gives: a table with a row an input


def _batch(found: Any, **more: pa.Array) -> pa.RecordBatch:
    """Return what a tokenizer has made of some texts, and what else is said of each input."""
    ids = {n: _lists(found[n]) for n in ("input_ids", "token_type_ids") if n in found}
    columns = ids | more
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _lists(values: Sequence[Sequence[int]] | Sequence[np.ndarray]) -> pa.Array:
    lengths = [len(one) for one in values]
    flat = np.fromiter(chain.from_iterable(values), dtype=np.int32, count=sum(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(_array(offsets), _array(flat))


# Arrays over the same memory. pyarrow's own ways import pandas to see whether they are given some.


def _array(values: np.ndarray) -> pa.Array:
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _numpy(values: pa.Array) -> np.ndarray:
    dtype = np.dtype(values.type.to_pandas_dtype())
    start = values.offset * dtype.itemsize
    return np.frombuffer(values.buffers()[1] or b"", dtype, len(values), start)


def _tokens(
    tokenizer: Any, texts: Sequence[Sequence[str]], how: Json, tokenise: Iterable[pa.RecordBatch]
) -> pa.Table:
    """Return what is to be made of some texts, from the cache if they are many and it is there."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    key = None
    if backend is not None and len(texts[0]) >= KEPT:
        versions = [version(name) for name in ("tokenizers", "transformers")]
        rules = digest_bytes(backend.to_str().encode())
        own = [tokenizer.model_input_names, tokenizer.truncation_side]
        key = digest_json([versions, rules, own, how, *texts])
        path = cache.find("tokens", key)
        if path is not None:
            return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    with _left_alone(tokenizer):
        table = pa.Table.from_batches(tokenise).combine_chunks()
    if key is not None:
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, table.schema) as file:
            file.write_table(table)
        written = buffer.getvalue()
        cache.store("tokens", key, written.size, [memoryview(written)])
    return table


def _encoded(table: pa.Table, **more: Any) -> Encoded:
    names = (name for name in ("input_ids", "token_type_ids") if name in table.column_names)
    flat = {name: _flat(table, name) for name in names}
    return Encoded(flat, _numpy(table["input_ids"].chunk(0).offsets), **more)


def _flat(table: pa.Table, name: str) -> np.ndarray:
    return _numpy(table[name].chunk(0).values)


def _check_tokens(encoded: Encoded, examples: Sequence[int] | np.ndarray) -> None:
    empty = np.flatnonzero(encoded.lengths == 0)
    if len(empty):
        raise DataError(
            f"row {examples[empty[0]] + 1} has no tokens: the backbone's tokenizer knows nothing "
            "in it; leave it out"
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
