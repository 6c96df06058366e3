"""CSV and TSV: rows of values between delimiters, below a header.

Every value is text as it is written. Blank rows are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from taskbank.data.fields import preview
from taskbank.data.files import File
from taskbank.data.formats.dialect import NAMES, Dialect, Row, find_dialect, split_rows
from taskbank.data.table import Table
from taskbank.errors import DataError


def read_csv(file: File) -> Table:
    """Return the table of a .csv file; see `read_separated`."""
    return read_separated(file, Dialect(",", '"'))


def read_tsv(file: File) -> Table:
    """Return the table of a .tsv file; see `read_separated`."""
    return read_separated(file, Dialect("\t", None))


def read_separated(file: File, usual: Dialect) -> Table:
    """Return the table of a file of separated values.

    Args:
        file: the file.
        usual: how a file of its format is usually written.

    Raises:
        DataError: if the file cannot be read; the message names the row.
    """
    text = file.text()
    dialect = find_dialect(file.shown, text, usual, file.style)
    rows = split_rows(file.shown, text, dialect)
    while rows and rows[-1].is_blank:
        rows.pop()
    filled = [row for row in rows if not row.is_blank]
    names = file.style.names
    if names is None:
        names, filled = tuple(filled[0].values), filled[1:]
        while len(names) > 1 and not names[-1].strip() and _is_unused(filled, len(names)):
            names = names[:-1]
    if not filled:
        raise DataError(f"{file.shown} has no rows")
    _check_widths(file, dialect, names, filled)

    def read(name: str) -> pa.ChunkedArray:
        place = names.index(name)
        return pa.chunked_array([pa.array([row.values[place] for row in filled], pa.string())])

    blank = [row.line for row in rows if row.is_blank and row.line > filled[0].line]
    return Table(file.shown, names, len(filled), read, blank=blank)


def _is_unused(rows: Sequence[Row], width: int) -> bool:
    """Return whether no row has a value in the last of some number of columns."""
    return not any(row.values[width - 1].strip() for row in rows if len(row.values) >= width)


def _check_widths(file: File, dialect: Dialect, names: Sequence[str], rows: Sequence[Row]) -> None:
    for number, row in enumerate(rows, start=1):
        if not row.fits(len(names)):
            given = "--columns names" if file.style.names is not None else "the header"
            delimiter = NAMES.get(dialect.delimiter, repr(dialect.delimiter))
            raise DataError(
                f"row {number:,} of {file.shown} (line {row.line:,}) cannot be read: it has "
                f"{len(row.values)} values between {delimiter} and {given} {len(names)}, and "
                f"begins with {preview(row.values[0])}; put quotes around a value that has a "
                "delimiter or a line end in it, or name another delimiter with --delimiter"
            )
