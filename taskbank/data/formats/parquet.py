"""Parquet, read column by column and a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import parquet

from taskbank.data.files import File
from taskbank.data.formats.typed import bounded_column, class_names_of, has_nested, nested_values
from taskbank.data.table import Table

ROWS = 4096  # rows decoded at once


def read_parquet(file: File) -> Table:
    """Return the table of a Parquet file."""
    opened = parquet.ParquetFile(file.random_access())
    schema = opened.schema_arrow

    def read(name: str) -> pa.ChunkedArray:
        column = name if name in schema.names else name.split(".")[0]
        field = schema.field(column)
        # Equal texts stay one text in memory if they were one in the file.
        shared = (
            [column] if pa.types.is_string(field.type) or pa.types.is_binary(field.type) else []
        )
        source = parquet.ParquetFile(file.random_access(), read_dictionary=shared)
        chunks = bounded_column(file.shown, name, _chunks(source, name, column))
        dtype = chunks[0].type if chunks else field.type
        values = pa.chunked_array(chunks, dtype)
        return values if column == name else nested_values(values, name)

    return Table(
        file.shown,
        schema.names,
        opened.metadata.num_rows,
        read,
        lambda name: class_names_of(schema, name),
        lambda name: has_nested(schema, name),
    )


def _chunks(source: parquet.ParquetFile, name: str, column: str) -> Iterator[pa.Array]:
    for batch in source.iter_batches(ROWS, columns=[name]):
        yield batch.column(batch.schema.get_field_index(column))
