"""What Parquet and Arrow files have in common: typed columns, nested fields, names of classes."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from taskbank.data.files import MAX_BYTES
from taskbank.errors import DataError


def class_names_of(schema: pa.Schema, name: str) -> tuple[str, ...] | None:
    """Return the names of the classes of a column that `datasets` wrote, or None.

    `datasets` writes the types of its columns into the schema's metadata in every file format.
    """
    stored = (schema.metadata or {}).get(b"huggingface", b"null")
    try:
        feature = json.loads(stored)["info"]["features"][name]
        if isinstance(feature, list):  # older versions wrote a list of classes this way
            (feature,) = feature
        names = feature.get("feature", feature)["names"]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def has_nested(schema: pa.Schema, name: str) -> bool:
    """Return whether a schema has a nested field of a dotted name."""
    first, *rest = name.split(".")
    if not rest or schema.names.count(first) != 1:
        return False
    dtype = schema.field(first).type
    for part in rest:
        if not pa.types.is_struct(dtype) or dtype.get_field_index(part) < 0:
            return False
        dtype = dtype.field(part).type
    return True


def nested_values(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return the values of a nested field, given the column that the first part of its name is."""
    for part in name.split(".")[1:]:
        column = pc.struct_field(column, part)
    return column


def bounded_column(origin: str, name: str, chunks: Iterable[pa.Array]) -> list[pa.Array]:
    """Return the chunks of a column, unless they are damaged or too large to hold.

    A few bytes of a file can stand for many: one text, referred to by every row.

    Raises:
        pyarrow.ArrowInvalid: if a chunk is damaged.
        DataError: if the values have more than `MAX_BYTES`.
    """
    kept, size = [], 0
    for chunk in chunks:
        chunk.validate(full=True)  # using a damaged chunk in any way may end the process
        kept.append(chunk)
        size += _size(chunk)
        if size > MAX_BYTES:
            raise DataError(
                f"column {name!r} of {origin} has values of more than {MAX_BYTES:,} bytes: divide "
                "the file, or name another column"
            )
    return kept


def _size(chunk: pa.Array) -> int:
    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    if not _is_bytes(chunk.type.value_type) or not len(chunk):
        return int(chunk.nbytes)
    lengths = pc.cast(pc.binary_length(chunk.dictionary), pa.int64())
    return int(pc.sum(lengths.take(chunk.indices)).as_py() or 0)


def _is_bytes(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(dtype)
        or pa.types.is_large_string(dtype)
        or pa.types.is_binary(dtype)
        or pa.types.is_large_binary(dtype)
    )
