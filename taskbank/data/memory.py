"""Tables of labelled text that is in memory already.

a data frame       of pandas, or of any library that speaks Arrow's C stream, such as polars
a Dataset          of `datasets`
a Table            of pyarrow
records            a list of dictionaries
columns            a dictionary of lists
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from taskbank.data.formats.arrow import table_of_arrow
from taskbank.data.formats.records import table_of_records
from taskbank.data.formats.typed import class_names_of
from taskbank.data.table import Table, explained, reason_of
from taskbank.errors import DataError, InputError


def is_in_memory(data: Any) -> bool:
    """Return whether some data is a table in memory, of any of the forms above."""
    return _maker(data) is not None


def table_in_memory(data: Any, name: str) -> Table:
    """Return the table of data in memory.

    Args:
        data: the data.
        name: the name of the data for errors, such as `train`.

    Raises:
        InputError: if the data has none of the forms above, or cannot be read.
    """
    make = _maker(data)
    if make is None:
        raise InputError(
            f"{name} is a {type(data).__name__}: give a path, a data frame, a Dataset, an Arrow "
            "table, a list of records or a dictionary of columns"
        )
    origin = f"{name} ({type(data).__name__})"
    with explained(f"{origin} cannot be read"):
        table = make(origin, data)
    if table.names and table.rows == 0:
        raise DataError(f"{origin} has no rows")
    return table


def _maker(data: Any) -> Callable[[str, Any], Table] | None:
    if isinstance(data, str | bytes):
        return None
    if isinstance(data, pa.Table):
        return table_of_arrow
    if _is_from(data, "datasets", "Dataset"):
        return table_of_dataset
    if _is_from(data, "pandas", "DataFrame"):
        return _table_of_pandas
    if hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns"):  # a series has none
        return lambda origin, stream: table_of_arrow(origin, pa.table(stream))
    if _is_from(data, "datasets", "DatasetDict"):
        return _refuse_splits
    if isinstance(data, Mapping):
        return _table_of_columns
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return table_of_records
    return None


def _is_from(data: Any, package: str, name: str) -> bool:
    # By name, so that no package is imported only to see that the data is not from it.
    return any(
        kind.__name__ == name and kind.__module__.split(".")[0] == package
        for kind in type(data).__mro__
    )


def table_of_dataset(origin: str, data: Any) -> Table:
    """Return the table of a data set of `datasets`.

    Args:
        origin: the data set's source, for errors.
        data: the data set.
    """
    schema = data.features.arrow_schema

    def read(name: str) -> pa.ChunkedArray:
        first = name if name in data.column_names else name.split(".")[0]
        try:
            values = data.select_columns([first]).with_format("arrow")[:]
        except Exception as error:  # datasets raises many types for damaged files
            raise DataError(f"{origin} cannot be read: {reason_of(error)}") from None
        return table_of_arrow(origin, values).read(name)

    whole = table_of_arrow(origin, schema.empty_table())
    return Table(
        origin,
        list(data.column_names),
        len(data),
        read,
        lambda name: class_names_of(schema, name),
        whole.has_nested,
    )


def _table_of_pandas(origin: str, frame: Any) -> Table:
    names = [str(name) for name in frame.columns]

    def read(name: str) -> pa.ChunkedArray:
        values = frame.iloc[:, names.index(name)]
        return pa.chunked_array([pa.Array.from_pandas(values)])

    return Table(origin, names, len(frame), read)


def _refuse_splits(origin: str, data: Any) -> Table:
    raise InputError(f"{origin} has the splits {', '.join(data)}: give one of them")


def _table_of_columns(origin: str, columns: Mapping[Any, Any]) -> Table:
    lengths = {
        str(name): len(values) for name, values in columns.items() if hasattr(values, "__len__")
    }
    if len(lengths) < len(columns) or len(set(lengths.values())) != 1:
        raise InputError(f"{origin} has columns of different lengths: {lengths}")
    values = {str(name): list(column) for name, column in columns.items()}
    records = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return table_of_records(origin, records)
