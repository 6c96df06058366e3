"""The formats of files, and the one that a file has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taskbank.data.files import PACKED, STANDARD_INPUT, File
from taskbank.data.formats.arrow import read_arrow
from taskbank.data.formats.conll import read_conll
from taskbank.data.formats.json_text import read_json
from taskbank.data.formats.lines import read_lines
from taskbank.data.formats.parquet import read_parquet
from taskbank.data.formats.separated import read_csv, read_tsv
from taskbank.data.style import FORMATS
from taskbank.data.table import Table, explained
from taskbank.errors import DataError

READERS: Mapping[str, Callable[[File], Table]] = {
    "csv": read_csv,
    "tsv": read_tsv,
    "json": read_json,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "conll": read_conll,
    "txt": read_lines,
}
SUFFIXES: Mapping[str, str] = {
    suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes
}


def format_of(file: File) -> str:
    """Return the name of a file's format, from what the user said or from its ending.

    Raises:
        DataError: if the format is unknown.
    """
    if file.style.format is not None:
        return file.style.format
    if file.source == STANDARD_INPUT:
        raise DataError(
            f"the format of standard input is not known: add --format, one of {', '.join(FORMATS)}"
        )
    if file.suffix not in SUFFIXES:
        file.check()  # a file that does not exist is the more likely mistake
        raise DataError(
            f"{file.shown} has the ending {file.suffix!r}: taskbank reads {', '.join(SUFFIXES)} "
            f"(also with {', '.join(PACKED)} after it), a folder that datasets saved, and hf:NAME; "
            "name the format with --format"
        )
    return SUFFIXES[file.suffix]


def read_file(file: File) -> Table:
    """Return the table of a file.

    Raises:
        DataError: if the file cannot be read, or its format is unknown.
    """
    name = format_of(file)
    with explained(f"{file.shown} cannot be read as {name}"):
        table = READERS[name](file)
        if table.rows == 0:
            raise DataError(f"{file.shown} has no rows")
    return table
