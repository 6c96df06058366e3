"""Makes tables of records, which are dictionaries from JSON or from Python.

A nested field has a dotted name: `data.text` is the field `text` of the field `data`.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from taskbank.data.fields import preview
from taskbank.data.table import Table, reason_of
from taskbank.errors import DataError

Record = Mapping[str, Any]


def table_of_records(
    origin: str,
    records: Sequence[Record],
    class_names: Callable[[str], tuple[str, ...] | None] = lambda _: None,
) -> Table:
    """Return the table of some records; a field that a record lacks has no value.

    Args:
        origin: the records' source, for errors.
        records: the records.
        class_names: the names of the classes that a field's whole numbers stand for.

    Raises:
        DataError: if there are no records.
    """
    if not records:
        raise DataError(f"{origin} has no rows")
    names = tuple(
        dict.fromkeys(
            name
            for record in records
            for name in record
            if isinstance(name, str) and is_encodable(name)
        )
    )

    def has_nested(name: str) -> bool:
        return "." in name and any(_field(record, name) is not None for record in records)

    def read(name: str) -> pa.ChunkedArray:
        values = [record.get(name) if name in names else _field(record, name) for record in records]
        return pa.chunked_array([_column(origin, name, values)])

    return Table(origin, names, len(records), read, class_names, has_nested)


def _field(record: Record, name: str) -> Any:
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _column(origin: str, name: str, values: Sequence[Any]) -> pa.Array:
    first: tuple[int, Any] | None = None
    for number, value in enumerate(values, start=1):
        if value is None:
            continue
        if not is_encodable(value):
            raise DataError(
                f"row {number} of {origin} has half a surrogate pair in {name!r}: {preview(value)}"
            )
        first = first or (number, value)
        if _type_name(value) != _type_name(first[1]):
            raise DataError(
                f"{name!r} of {origin} is {preview(first[1])} in row {first[0]} and "
                f"{preview(value)} in row {number}: write one type in every row"
            )
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, RecursionError) as error:
        row = _first_unusable(values)
        raise DataError(
            f"row {row} of {origin} has {preview(values[row - 1])} in {name!r}, which cannot be "
            f"read together with the rows before it: {reason_of(error)}"
        ) from None


def is_encodable(value: Any) -> bool:
    """Return whether a value's texts can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    except (TypeError, ValueError):  # keys that are no texts, or a value that contains itself
        return True
    return True


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str | bytes | Mapping):
        return next(kind.__name__ for kind in (str, bytes, Mapping) if isinstance(value, kind))
    return "list" if isinstance(value, Sequence) else type(value).__name__


def _first_unusable(values: Sequence[Any]) -> int:
    """Return the first row (from 1) whose value does not fit the Arrow column of those before."""

    def unusable(count: int) -> bool:
        try:
            pa.array(values[:count])
        except (pa.ArrowException, OverflowError, RecursionError):
            return True
        return False

    return bisect_left(range(1, len(values) + 1), True, key=unusable) + 1
