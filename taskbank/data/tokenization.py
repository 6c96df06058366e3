"""Tokenises texts, pairs of texts, and long texts in windows. Knows nothing of tasks.

The tokens of large data sets are cached in an Arrow file that is mapped into memory. The cache key
is a digest of the texts, the tokenizer and the truncation settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import chain
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from taskbank.data.encoded import Encoded
from taskbank.data.shortening import shorten, shorten_pairs
from taskbank.digests import Json, digest_bytes, digest_json
from taskbank.errors import DataError, InputError
from taskbank.runtime import disk_cache as cache

CHUNK = 4096  # texts tokenised at once
MIN_CACHED_TEXTS = 1000  # smallest number of texts for which the cache saves time
# A call sets the length to truncate to on the tokenizer, where another thread's would read it.
SETTINGS_LOCK = RLock()


def encode(
    tokenizer: Any,
    columns: Mapping[str, Sequence[str]],
    names: Sequence[str],
    max_length: int,
    targets: Mapping[str, np.ndarray] | None = None,
) -> Encoded:
    """Tokenise every example, truncated to a length; say which examples were truncated.

    Args:
        tokenizer: the backbone's tokenizer; its settings are restored.
        columns: the texts by column name.
        names: the one or two columns of an input.
        max_length: maximum number of tokens per input; in a pair, the longer text is cut first.
        targets: the loss's targets per example.

    Raises:
        InputError: if the tokenizer has no padding token, or `max_length` leaves no room for a
            token of each text.
        DataError: naming the row of an input that has no tokens.
    """
    check_room(tokenizer, len(names), max_length)
    texts = [list(columns[name]) for name in names]

    def tokenise() -> Iterator[Columns]:
        for start in range(0, len(texts[0]), CHUNK):
            chunk = [column[start : start + CHUNK] for column in texts]
            if len(chunk) == 1:
                chunk = [shorten(tokenizer, chunk[0], max_length)]
            else:
                chunk = shorten_pairs(tokenizer, chunk, max_length)
            output = tokenizer(
                *chunk,
                truncation="longest_first",
                max_length=max_length,
                return_attention_mask=False,
            )
            yield _ids(output) | {"truncated": _truncated(tokenizer, chunk, output, max_length)}

    found = _tokens(tokenizer, texts, ["truncated", max_length], tokenise())
    encoded = _encoded(
        found, input_targets=targets or {}, truncated=np.flatnonzero(found["truncated"])
    )
    _check_tokens(encoded, range(len(encoded)))
    return encoded


@dataclass(frozen=True)
class Window:
    """The positions of one window's tokens in the text of its example.

    Attributes:
        example: the window's example.
        starts: each token's first character in the text; -1 for a special token or a token of the
            other text.
        ends: the character after each token's last, or -1.
    """

    example: int
    starts: np.ndarray
    ends: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Whether each token stands for at least one character of the text."""
        inside: np.ndarray = self.starts < self.ends
        return inside


def encode_windows(
    tokenizer: Any,
    texts: Sequence[str],
    max_length: int,
    overlap: int,
    before: Sequence[str] | None = None,
) -> tuple[Encoded, list[Window]]:
    """Tokenise texts of any length, each in as many overlapping windows as it needs.

    Args:
        tokenizer: the backbone's fast tokenizer; its settings are restored.
        texts: the texts to split into windows.
        max_length: maximum number of tokens per window.
        overlap: number of tokens that neighbouring windows share.
        before: a text to put before each window of a text, such as a question.

    Raises:
        InputError: if the tokenizer has no padding token or does not report token positions, or
            `max_length` leaves no room for a token of each text.
        DataError: naming the row of a text that has no tokens.
    """
    check_room(tokenizer, 1 if before is None else 2, max_length)
    _check_places(tokenizer)
    text_index = 0 if before is None else 1

    def tokenise() -> Iterator[Columns]:
        for start in range(0, len(texts), CHUNK):
            pieces = [list(texts[start : start + CHUNK])]
            if before is not None:
                pieces.insert(0, list(before[start : start + CHUNK]))
            output = tokenizer(
                *pieces,
                truncation="only_first" if before is None else "only_second",
                max_length=max_length,
                stride=overlap,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
                return_attention_mask=False,
            )
            examples = np.array(output["overflow_to_sample_mapping"], dtype=np.int64) + start
            starts, ends = [], []
            for number, offsets in enumerate(output["offset_mapping"]):
                places = np.array(offsets, dtype=np.int64).reshape(-1, 2)
                inside = np.array(
                    [sequence == text_index for sequence in output.sequence_ids(number)]
                )
                places = np.where(inside[:, None], places, -1)
                starts.append(places[:, 0])
                ends.append(places[:, 1])
            lists = {"starts": _rows(starts), "ends": _rows(ends)}
            yield _ids(output) | lists | {"example": examples}

    columns = [texts] if before is None else [before, texts]
    found = _tokens(tokenizer, columns, [max_length, overlap], tokenise())
    encoded, examples = _encoded(found), found["example"]
    _check_tokens(encoded, examples)
    inner = encoded.offsets[1:-1]
    starts, ends = (np.split(found[name].values, inner) for name in ("starts", "ends"))
    windows = [Window(*fields) for fields in zip(examples.tolist(), starts, ends, strict=True)]
    return replace(encoded, alignment=windows), windows


def truncate(tokenizer: Any, texts: Sequence[str], tokens: int) -> list[str]:
    """Truncate texts to a number of tokens.

    Args:
        tokenizer: the backbone's fast tokenizer; its settings are restored.
        texts: the texts to truncate.
        tokens: number of tokens to keep, not counting special tokens.

    Raises:
        InputError: if the tokenizer does not report token positions.
    """
    _check_places(tokenizer)
    truncated: list[str] = []
    with _preserve_settings(tokenizer):
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            output = tokenizer(
                shorten(tokenizer, chunk, tokens + 1),
                add_special_tokens=False,
                return_offsets_mapping=True,
                return_attention_mask=False,
                verbose=False,  # no warning that a text exceeds the model's length
            )
            for text, places in zip(chunk, output["offset_mapping"], strict=True):
                count = min(tokens, len(places))
                # A character of several tokens is kept with all of them or not at all.
                while 0 < count < len(places) and places[count][0] < places[count - 1][1]:
                    count -= 1
                end = places[count - 1][1] if count else 0
                truncated.append(text if count == len(places) else text[:end])
    return truncated


def _truncated(
    tokenizer: Any, texts: Sequence[Sequence[str]], output: Any, max_length: int
) -> np.ndarray:
    """Return 1 for each input of which tokens were left out, else 0: int8 [inputs]."""
    if output.encodings is not None:
        return np.array([bool(one.overflowing) for one in output.encodings], dtype=np.int8)
    truncated = np.zeros(len(output["input_ids"]), dtype=np.int8)
    full = [row for row, ids in enumerate(output["input_ids"]) if len(ids) == max_length]
    if full:
        whole = tokenizer(
            *([column[row] for row in full] for column in texts), truncation=False, verbose=False
        )
        truncated[full] = [len(ids) > max_length for ids in whole["input_ids"]]
    return truncated


def check_room(tokenizer: Any, texts: int, max_length: int) -> None:
    """Raise unless an input of a length has room for some number of texts.

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
            f"the backbone's tokenizer ({type(tokenizer).__name__}) does not report token "
            "positions: save it with a tokenizer.json"
        )


def tokenizer_settings(tokenizer: Any) -> dict[str, Json]:
    """Return the settings of a tokenizer, besides its rules, that decide the tokens of an input.

    Settings of padding are not among them: taskbank pads batches itself, and by a mask.

    Args:
        tokenizer: the backbone's tokenizer.
    """
    return {
        "truncation_side": tokenizer.truncation_side,
        "token_type_ids": "token_type_ids" in tokenizer.model_input_names,
        "split_special_tokens": bool(getattr(tokenizer, "split_special_tokens", False)),
    }


# Columns of tokens, with one row per input. Arrow joins and stores them.


class Rows(NamedTuple):
    """Rows of different lengths: row `i` is `values[offsets[i]:offsets[i + 1]]`."""

    values: np.ndarray
    offsets: np.ndarray


Columns = dict[str, Any]  # an array or `Rows` by name


def _ids(output: Any) -> Columns:
    """Return the tokens of a tokenizer's output."""
    return {n: _rows(output[n]) for n in ("input_ids", "token_type_ids") if n in output}


def _rows(values: Sequence[Sequence[int]] | Sequence[np.ndarray]) -> Rows:
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in values], out=offsets[1:])
    flat = np.fromiter(chain.from_iterable(values), dtype=np.int32, count=int(offsets[-1]))
    return Rows(flat, offsets)


def _joined(parts: Iterable[Columns]) -> pa.Table:
    """Return the rows of several columns, in their order, in one chunk."""
    batches = []
    for columns in parts:
        arrays = [
            pa.LargeListArray.from_arrays(_array(column.offsets), _array(column.values))
            if isinstance(column, Rows)
            else _array(column)
            for column in columns.values()
        ]
        batches.append(pa.RecordBatch.from_arrays(arrays, names=list(columns)))
    return pa.Table.from_batches(batches).combine_chunks()


def _columns(table: pa.Table) -> Columns:
    chunks = {name: table[name].chunk(0) for name in table.column_names}
    return {
        name: Rows(_numpy(chunk.values), _numpy(chunk.offsets))
        if pa.types.is_large_list(chunk.type)
        else _numpy(chunk)
        for name, chunk in chunks.items()
    }


# Arrays over the same memory. pyarrow's own ways import pandas to see whether they are given some.


def _array(values: np.ndarray) -> pa.Array:
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _numpy(values: pa.Array) -> np.ndarray:
    dtype = np.dtype(values.type.to_pandas_dtype())
    start = values.offset * dtype.itemsize
    return np.frombuffer(values.buffers()[1] or b"", dtype, len(values), start)


def _tokens(
    tokenizer: Any,
    texts: Sequence[Sequence[str]],
    truncation: Json,
    tokenise: Iterable[Columns],
) -> Columns:
    """Return the tokens of some texts, from the cache if it has them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    key = None
    if backend is not None and len(texts[0]) >= MIN_CACHED_TEXTS:
        versions = [version(name) for name in ("tokenizers", "transformers")]
        rules = digest_bytes(backend.to_str().encode())
        key = digest_json([versions, rules, tokenizer_settings(tokenizer), truncation, *texts])
        path = cache.find("tokens", key)
        if path is not None:
            return _columns(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    with _preserve_settings(tokenizer):
        parts = list(tokenise)
    if key is None and len(parts) == 1:  # as for every prediction of a few texts
        return parts[0]
    table = _joined(parts)
    if key is not None:
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, table.schema) as file:
            file.write_table(table)
        written = buffer.getvalue()
        cache.store("tokens", key, written.size, [memoryview(written)])
    return _columns(table)


def _encoded(found: Columns, **more: Any) -> Encoded:
    flat: dict[str, np.ndarray] = {
        name: found[name].values for name in ("input_ids", "token_type_ids") if name in found
    }
    return Encoded(flat, found["input_ids"].offsets, **more)


def _check_tokens(encoded: Encoded, examples: Sequence[int] | np.ndarray) -> None:
    empty = np.flatnonzero(encoded.lengths == 0)
    if len(empty):
        raise DataError(
            f"row {examples[empty[0]] + 1} has no tokens: the backbone's tokenizer reads nothing "
            "in it; leave it out"
        )


@contextmanager
def _preserve_settings(tokenizer: Any) -> Iterator[None]:
    # A call changes the truncation and padding of a fast tokenizer, and of the files it saves.
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield
        return
    with SETTINGS_LOCK:
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
