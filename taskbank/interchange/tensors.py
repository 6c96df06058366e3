"""Reads safetensors files that others made: the header first, bounded, then the values."""

from __future__ import annotations

from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from taskbank.data.fields import preview
from taskbank.digests import digest_bytes
from taskbank.errors import InputError
from taskbank.interchange import schema
from taskbank.interchange.untrusted import read_file
from taskbank.runtime.visible_text import is_visible

MAX_FILE_BYTES = 2**31  # of an adapter or a head; the largest that are known have a tenth
MAX_HEADER_BYTES = 2**24  # room for 100,000 tensors
MAX_NAME = 1000  # characters
# The types whose every value float32 has as well.
SIZES = {"F32": 4, "F16": 2, "BF16": 2}

ENTRY = schema.record(
    {
        "dtype": schema.one_of(tuple(SIZES)),
        "shape": schema.items(schema.whole(0, 2**40), least=1, most=2),
        "data_offsets": schema.items(schema.whole(0, MAX_FILE_BYTES), least=2, most=2),
    }
)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Return the tensors of a file by name, as float32, and the digest of the file.

    Values of 16 bits become the same numbers in 32 bits.

    Args:
        path: the file.

    Raises:
        InputError: if there is no regular file, if it is larger than its header says, if its header
            is too large, repeats a name or is no header, or if a tensor has more than two
            dimensions, another type, or a value that is NaN or infinite.
    """
    with_header = _header_bytes(path)
    names = _check_header(path, with_header)
    data = read_file(path, MAX_FILE_BYTES)
    if data[: len(with_header)] != with_header:
        raise InputError(f"{path} changed while it was read: import it again")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file: {error}") from None
    for name in names:
        if not bool(torch.isfinite(tensors[name]).all()):
            raise InputError(f"{path}: tensor {name!r} has a value that is NaN or infinite")
    return {name: tensors[name].float().contiguous() for name in names}, digest_bytes(data)


def _header_bytes(path: Path) -> bytes:
    """Return a file's length of the header and the header, after comparing it with the size."""
    start = read_file(path, MAX_FILE_BYTES, first=8)
    size, length = path.stat().st_size, int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise InputError(
            f"{path} has {size:,} bytes and says that its header has {length:,}: it is cut off, or "
            f"no safetensors file (a header has at most {MAX_HEADER_BYTES:,} bytes)"
        )
    return read_file(path, MAX_FILE_BYTES, first=8 + length)


def _check_header(path: Path, with_header: bytes) -> list[str]:
    """Return the names of a file's tensors, after checking what the header says of each."""
    try:
        header = schema.parse_json(with_header[8:])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} has a header that is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise InputError(f"{path} has the header {preview(header)}: it must be an object")
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    total = 0
    for name, entry in entries.items():
        if not is_visible(name) or len(name) > MAX_NAME:
            raise InputError(
                f"{path}: tensor {preview(name)} has a name that is too long or cannot be seen"
            )
        place = f"{path}: tensor {name!r}"
        ENTRY(place, entry)
        first, last = entry["data_offsets"]
        total += last - first
        if last - first != SIZES[entry["dtype"]] * prod(entry["shape"]):
            raise InputError(
                f"{place} has the type {entry['dtype']} and the shape {entry['shape']}, but "
                f"{last - first:,} bytes"
            )
    found = path.stat().st_size - len(with_header)
    if total != found:
        raise InputError(
            f"{path} has {found:,} bytes of values, but its header says {total:,}: it is cut off "
            "or has more than its tensors"
        )
    return list(entries)
