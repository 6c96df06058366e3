"""Arrow files, Arrow streams and Feather, of which only the columns that are needed are read."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import feather, ipc

from taskbank.data.files import File
from taskbank.data.formats.typed import bounded_column, class_names_of, has_nested, nested_values
from taskbank.data.table import Table

FILE, OLD_FEATHER = b"ARROW1", b"FEA1"


def read_arrow(file: File) -> Table:
    """Return the table of an Arrow file, an Arrow stream or a Feather file."""
    start = file.random_access().read(len(FILE))
    if start.startswith(OLD_FEATHER):
        table = feather.read_table(file.random_access())
        return table_of_arrow(file.shown, table)
    is_file = start == FILE

    def batches(fields: list[int] | None) -> Iterator[pa.RecordBatch]:
        options = ipc.IpcReadOptions(included_fields=fields)
        if is_file:
            opened = ipc.open_file(file.random_access(), options=options)
            yield from (opened.get_batch(number) for number in range(opened.num_record_batches))
        else:
            yield from ipc.open_stream(file.random_access(), options=options)

    opened = ipc.open_file if is_file else ipc.open_stream
    schema = opened(file.random_access()).schema

    def read(name: str) -> pa.ChunkedArray:
        column = name if name in schema.names else name.split(".")[0]
        place = schema.get_field_index(column)
        chunks = bounded_column(file.shown, name, (batch.column(0) for batch in batches([place])))
        values = pa.chunked_array(chunks, schema.field(place).type)
        return values if column == name else nested_values(values, name)

    rows = sum(batch.num_rows for batch in batches([0] if schema.names else None))
    return _table(file.shown, schema, rows, read)


def table_of_arrow(origin: str, table: pa.Table) -> Table:
    """Return the table of an Arrow table in memory.

    Args:
        origin: the table's source, for errors.
        table: the Arrow table.
    """

    def read(name: str) -> pa.ChunkedArray:
        if name in table.column_names:
            return table.column(name)
        return nested_values(table.column(name.split(".")[0]), name)

    return _table(origin, table.schema, table.num_rows, read)


def _table(origin: str, schema: pa.Schema, rows: int, read: object) -> Table:
    return Table(
        origin,
        schema.names,
        rows,
        read,  # type: ignore[arg-type]
        lambda name: class_names_of(schema, name),
        lambda name: has_nested(schema, name),
    )
