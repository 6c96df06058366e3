"""Reads labelled text from any source and checks every row.

    FILE.csv             header, quotes as usual; every value is read as text
    FILE.tsv             header, no quotes: tabs separate values, line ends separate rows
    FILE.jsonl, .json    one JSON object per line
    FILE.parquet
    FILE.arrow, .feather an Arrow file or stream
    FOLDER[:SPLIT]       a folder that `datasets` saved
    hf:NAME[/CONFIG][:SPLIT]  from the hub; NAME may be OWNER/NAME; the default split is
                         `train`. A name of two parts is read as NAME/CONFIG if the hub has no
                         OWNER/NAME.

CSV and TSV skip blank lines, unless the file has a single column. Errors name the file and the
place in it, before any expensive work starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa

from taskbank.data.columns import read_column
from taskbank.data.examples import Examples
from taskbank.data.fields import Field, preview
from taskbank.data.hub import HUB, probe, read_hub, read_saved
from taskbank.data.readers import READERS, decode, reason_of
from taskbank.digests import Json
from taskbank.errors import DataError

Inputs = Sequence[Field]  # the columns that make one input


def read_examples(
    source: str,
    inputs: Sequence[Inputs],
    label: Field,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label_column: str | None = None,
) -> Examples:
    """Return the labelled examples of a source, every row checked.

    Args:
        source: a file, a folder or a hub name, as the module describes.
        inputs: the possible columns of an input, such as one text, or two texts.
        label: the column to predict.
        text: the name of the input's first column, if it differs from its field's name.
        text_pair: the name of the input's second column, likewise.
        label_column: the name of the label's column, likewise.

    Raises:
        DataError: if the source cannot be read or a row is invalid.
    """
    names = (text, text_pair)
    table = _read(source, {*_names(inputs, names).values(), label_column or label.name})
    fields = _choose_fields(inputs, names, table.column_names)
    columns = {
        field.name: read_column(source, table, field, name)
        for field, name in zip(fields, _columns(fields, names), strict=True)
    }
    columns[label.name] = read_column(source, table, label, label_column or label.name)
    # A file's name may hold bytes that are not UTF-8; a recorded name may not.
    return Examples(columns, source.encode(errors="backslashreplace").decode())


def read_inputs(
    source: str,
    inputs: Inputs,
    *,
    text: str | None = None,
    text_pair: str | None = None,
) -> list[tuple[Json, ...]]:
    """Return the unlabelled inputs of a source, one tuple per row.

    Args:
        source: as for `read_examples`, or a `.txt` file with one text per line.
        inputs: the columns that make an input.
        text: the name of the first column, if it differs from its field's name.
        text_pair: the name of the input's second column, likewise.

    Raises:
        DataError: if the source cannot be read or a row is invalid.
    """
    names = _columns(_choose_fields([inputs], (text, text_pair), ()), (text, text_pair))
    if Path(source).suffix.lower() == ".txt":
        return [(line,) for line in _lines(source, inputs, text)]
    table = _read(source, names)
    columns = [
        read_column(source, table, field, name) for field, name in zip(inputs, names, strict=True)
    ]
    return list(zip(*columns, strict=True))


def _names(inputs: Sequence[Inputs], names: Sequence[str | None]) -> dict[str, str]:
    """Return the column name of every possible input field."""
    return {
        field.name: column
        for fields in inputs
        for field, column in zip(fields, _columns(fields, names), strict=True)
    }


def _columns(fields: Inputs, names: Sequence[str | None]) -> list[str]:
    return [
        field.name if column is None else column
        for field, column in zip(fields, names, strict=False)
    ]


def _choose_fields(
    inputs: Sequence[Inputs], names: Sequence[str | None], columns: Sequence[str]
) -> Inputs:
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
        if text is None and all(field.name in columns for field in fields):
            return fields
    return inputs[0]


def _lines(source: str, inputs: Inputs, column: str | None) -> Sequence[Json]:
    if len(inputs) > 1:
        raise DataError(
            f"{source} has one text a line, and this kind takes {len(inputs)}: give a .tsv, .csv "
            f"or .jsonl file with the columns {', '.join(field.name for field in inputs)}"
        )
    if column is not None:
        raise DataError(f"{source} has lines and no columns: leave out --text {column!r}")
    text = decode(source, _read_bytes(Path(source)))
    if not text.strip():
        raise DataError(f"{source} is empty")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    field = Field("text", "text", "--text")
    return read_column(source, pa.table({"text": pa.array(lines, pa.string())}), field, "text")


def _read(source: str, wanted: Collection[str]) -> pa.Table:
    """Return the table of a source, with values in at least the wanted columns."""
    if source.startswith(HUB):
        return read_hub(source)
    path = Path(source)
    if probe(path.is_dir):
        return read_saved(source, path, None)
    folder, colon, split = source.rpartition(":")
    if colon and not probe(path.exists) and probe(Path(folder).is_dir):
        return read_saved(source, Path(folder), split)
    if path.suffix.lower() not in READERS and probe(path.exists):
        raise DataError(
            f"{source} has the ending {path.suffix!r}: taskbank reads {', '.join(READERS)}, "
            "a folder that datasets saved, and hf:NAME"
        )
    data = _read_bytes(path)
    if not data.strip():
        raise DataError(f"{source} is empty")
    try:
        table = READERS[path.suffix.lower()](source, data, wanted)
        names = Counter(table.column_names)  # raises if a name is not UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source} cannot be read as {path.suffix}: {reason_of(error)}") from None
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise DataError(f"{source} has more than one column {preview(repeated[0])}: rename one")
    if table.num_rows == 0:
        raise DataError(f"{source} has no rows")
    return table


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: give a file, a folder or hf:NAME") from None
    except OSError as error:
        raise DataError(f"{preview(str(path))} cannot be read: {error.strerror}") from None
    except ValueError as error:  # the name has a NUL character
        raise DataError(f"{preview(str(path))} cannot be read: {error}") from None
