"""Reads labelled text from any source and checks every row.

    FILE.csv             header, quotes as usual; every value is read as text
    FILE.tsv             header; quotes around values, or as part of the texts, as the file shows
    FILE.jsonl, .json    one object per line, or one document; also as SQuAD, Label Studio and
                         doccano write it
    FILE.parquet
    FILE.arrow, .feather an Arrow file or stream
    FILE.conll, .conllu  one word per line
    FILE.txt             one text per line, to predict
    -                    standard input, in the format that is named
    FOLDER[:SPLIT]       a folder that `datasets` saved; the default split is the one that is
                         named like the role of the data, see `roles`
    hf:NAME[/CONFIG][:SPLIT]  from the hub, likewise; NAME may be OWNER/NAME. A name of two parts
                         is read as NAME/CONFIG if the hub has no OWNER/NAME.

A file may be packed (`.csv.gz`, `.jsonl.zst`). Data may also be in memory, as `memory` describes.
Errors name the source and the place in it, before any expensive work starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from taskbank.data.columns import read_column
from taskbank.data.examples import Examples
from taskbank.data.fields import Field
from taskbank.data.files import File
from taskbank.data.formats.registry import read_file
from taskbank.data.hub import HUB, probe, read_hub, read_saved
from taskbank.data.memory import table_in_memory
from taskbank.data.remarks import remark
from taskbank.data.roles import source_for
from taskbank.data.style import Style
from taskbank.data.table import Table
from taskbank.data.unusable import describe, unusable_rows
from taskbank.digests import Json
from taskbank.errors import DataError

Inputs = Sequence[Field]  # the columns that make one input
LISTED = 5  # number of lines that a remark lists


def read_examples(
    source: Any,
    inputs: Sequence[Inputs],
    label: Field,
    *,
    role: str = "data",
    text: str | None = None,
    text_pair: str | None = None,
    label_column: str | None = None,
    style: Style | None = None,
    label_names: Sequence[str] | None = None,
) -> Examples:
    """Return the labelled examples of a source, every row checked.

    Args:
        source: a file, a folder or a hub name, as the module describes, or data in memory.
        inputs: the possible columns of an input, such as one text, or two texts.
        label: the column to predict.
        role: what the data is for: `train`, `validation` and `test` choose a split of that name;
            it names data in memory in errors.
        text: the name of the input's first column, if it differs from its field's name.
        text_pair: the name of the input's second column, likewise.
        label_column: the name of the label's column, likewise.
        style: what is said about how files are written.
        label_names: names of the classes, if the source has whole numbers from 0 for them.

    Raises:
        DataError: if the source cannot be read or a row is invalid.
    """
    names = (text, text_pair)
    table = read_table(source, role, style or Style())
    fields = _choose_fields(inputs, names, table)
    columns = {
        field.name: read_column(table, field, name)
        for field, name in zip(fields, _columns(fields, names), strict=True)
    }
    columns[label.name] = read_column(table, label, label_column or label.name, label_names)
    # A folder's name may hold bytes that are not UTF-8; a recorded name may not.
    return Examples(columns, table.origin.encode(errors="backslashreplace").decode())


def read_inputs(
    source: Any,
    inputs: Inputs,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    style: Style | None = None,
) -> list[tuple[Json, ...]]:
    """Return the unlabelled inputs of a source, one tuple per row.

    Blank rows of a file are left out, with a remark.

    Args:
        source: as for `read_examples`, or a `.txt` file with one text per line.
        inputs: the columns that make an input.
        text: the name of the first column, if it differs from its field's name.
        text_pair: the name of the input's second column, likewise.
        style: what is said about how files are written.

    Raises:
        DataError: if the source cannot be read or a row is invalid.
    """
    table, fields, names = _inputs_of(source, inputs, text, text_pair, style or Style())
    columns = [read_column(table, field, name) for field, name in zip(fields, names, strict=True)]
    _remark_blank(table)
    return list(zip(*columns, strict=True))


@dataclass(frozen=True)
class UsableInputs:
    """The inputs of a source that can be predicted.

    Attributes:
        rows: the inputs, one tuple per row.
        numbers: the number of each input's row, from 1, without the header and blank rows.
        unusable: what is wrong with each row that was left out, by its number.
    """

    rows: Sequence[tuple[Json, ...]]
    numbers: Sequence[int]
    unusable: Mapping[int, str]


def read_usable_inputs(
    source: Any,
    inputs: Inputs,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    style: Style | None = None,
    skip: bool = False,
) -> UsableInputs:
    """Return the inputs of a source with the numbers of their rows.

    Args:
        source: as for `read_inputs`.
        inputs: the columns that make an input.
        text: the name of the first column, if it differs from its field's name.
        text_pair: the name of the input's second column, likewise.
        style: what is said about how files are written.
        skip: whether to leave out rows that cannot be predicted, such as rows without text.

    Raises:
        DataError: if the source cannot be read, if a row cannot be predicted and `skip` is false,
            or if no row can be predicted.
    """
    table, fields, names = _inputs_of(source, inputs, text, text_pair, style or Style())
    values = [_plain(table.column(name, f.option)) for f, name in zip(fields, names, strict=True)]
    unusable = unusable_rows(fields, names, values)
    if unusable and not skip:
        raise DataError(
            f"{len(unusable):,} rows of {table.origin} cannot be predicted: "
            f"{'; '.join(describe(unusable, LISTED))}; correct them, or leave them out with "
            "--skip-unusable"
        )
    if unusable and len(unusable) == table.rows:
        raise DataError(f"no row of {table.origin} can be predicted: {describe(unusable, 1)[0]}")
    numbers = [row for row in range(1, table.rows + 1) if row not in unusable]
    if unusable:
        kept = [row - 1 for row in numbers]
        read = table.read
        table = replace(table, rows=len(kept), read=lambda name: read(name).take(kept))
    columns = [read_column(table, field, name) for field, name in zip(fields, names, strict=True)]
    _remark_blank(table)
    return UsableInputs(list(zip(*columns, strict=True)), numbers, unusable)


def _inputs_of(
    source: Any, inputs: Inputs, text: str | None, text_pair: str | None, style: Style
) -> tuple[Table, Inputs, list[str]]:
    """Return the table of unlabelled inputs, the fields of an input and the columns' names."""
    table = read_table(source, "the data", style)
    fields = _choose_fields([inputs], (text, text_pair), table)
    if table.is_lines:
        return table, [_line_field(table, fields, text)], ["text"]
    return table, fields, _columns(fields, (text, text_pair))


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; none if they cannot be read, which `read_column` explains."""
    try:
        values: list[Any] = column.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        return []
    return values


def _remark_blank(table: Table) -> None:
    if table.blank:
        listed = ", ".join(f"{line:,}" for line in table.blank[:LISTED])
        more = ", …" if len(table.blank) > LISTED else ""
        remark(
            f"{len(table.blank):,} blank rows of {table.origin} are left out: line {listed}{more}"
        )


def read_table(source: Any, role: str, style: Style) -> Table:
    """Return the table of a source, whose columns are read when they are asked for.

    Args:
        source: a file, a folder or a hub name, as the module describes, or data in memory.
        role: what the data is for, as for `read_examples`.
        style: what is said about how files are written.

    Raises:
        DataError: if the source cannot be read.
    """
    if not isinstance(source, str | os.PathLike):
        return table_in_memory(source, role)
    name = os.fsdecode(source_for(source, role))
    if name.startswith(HUB) and isinstance(source, str):
        return read_hub(name)
    path = Path(name)
    if probe(path.is_dir):
        return read_saved(name, path, None)
    folder, colon, split = name.rpartition(":")
    if colon and not probe(path.exists) and probe(Path(folder).is_dir):
        return read_saved(name, Path(folder), split)
    return read_file(File(name, style))


def _line_field(table: Table, inputs: Inputs, column: str | None) -> Field:
    """Return the field as which the lines of a table without columns are read."""
    if len(inputs) > 1:
        raise DataError(
            f"{table.origin} has one text a line, and this kind takes {len(inputs)}: give a .tsv, "
            f".csv or .jsonl file with the columns {', '.join(field.name for field in inputs)}"
        )
    if column is not None:
        raise DataError(f"{table.origin} has lines and no columns: leave out --text {column!r}")
    return Field("text", "text", "--text")


def _columns(fields: Inputs, names: Sequence[str | None]) -> list[str]:
    return [
        field.name if column is None else column
        for field, column in zip(fields, names, strict=False)
    ]


def _choose_fields(inputs: Sequence[Inputs], names: Sequence[str | None], table: Table) -> Inputs:
    """Return the fields of an input, chosen by the options or by the source's columns."""
    text, text_pair = names
    widest = max(inputs, key=len)
    if text_pair is not None:
        if len(widest) < 2:
            raise DataError(
                f"--text-pair {text_pair!r} names second texts, which this kind does not have: "
                "use --kind pair"
            )
        return widest
    for fields in inputs:
        if text is None and all(table.has(field.name) for field in fields):
            return fields
    return inputs[0]
