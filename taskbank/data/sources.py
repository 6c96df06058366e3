"""Reads labelled text from any source and checks every row.

    FILE.csv             header, quotes as usual; every value is text as written
    FILE.tsv             header, no quotes: a tab ends a value, a line end a row
    FILE.jsonl, .json    one JSON object a line
    FILE.parquet
    FILE.arrow, .feather an Arrow file or stream
    FOLDER[:SPLIT]       as `datasets` saved it
    hf:NAME[/CONFIG][:SPLIT]  from the hub; NAME may be OWNER/NAME; the default split is
                         `train`. Of two parts, NAME/CONFIG is tried where the hub has no
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
from taskbank.data.fields import Field, shown
from taskbank.data.hub import HUB, is_path, read_hub, read_saved
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
        inputs: what an input may be made of, such as one text, or two.
        label: what is to be predicted.
        text: the first column of the input, where it has another name than its field.
        text_pair: the second, likewise.
        label_column: the column of the label, likewise.

    Raises:
        DataError: if the source cannot be read or a row is not usable.
    """
    given = (text, text_pair)
    table = _read(source, {*_names(inputs, given).values(), label_column or label.name})
    chosen = _choose(inputs, given, table.column_names)
    columns = {
        field.name: read_column(source, table, field, name)
        for field, name in zip(chosen, _columns(chosen, given), strict=True)
    }
    columns[label.name] = read_column(source, table, label, label_column or label.name)
    # A file's name may hold bytes that are no UTF-8; what is recorded of it may not.
    return Examples(columns, source.encode(errors="backslashreplace").decode())


def read_inputs(
    source: str,
    inputs: Inputs,
    *,
    text: str | None = None,
    text_pair: str | None = None,
) -> list[tuple[Json, ...]]:
    """Return the unlabelled inputs of a source, a tuple a row.

    Args:
        source: as for `read_examples`, or a `.txt` file with a text a line.
        inputs: the columns that make an input.
        text: the first, where it has another name than its field.
        text_pair: the second, likewise.

    Raises:
        DataError: if the source cannot be read or a row is not usable.
    """
    names = _columns(_choose([inputs], (text, text_pair), ()), (text, text_pair))
    if Path(source).suffix.lower() == ".txt":
        return [(line,) for line in _lines(source, inputs, text)]
    table = _read(source, names)
    columns = [
        read_column(source, table, field, name) for field, name in zip(inputs, names, strict=True)
    ]
    return list(zip(*columns, strict=True))


def _names(inputs: Sequence[Inputs], given: Sequence[str | None]) -> dict[str, str]:
    """Return what every field that may be wanted is called in the source."""
    return {
        field.name: column
        for fields in inputs
        for field, column in zip(fields, _columns(fields, given), strict=True)
    }


def _columns(fields: Inputs, given: Sequence[str | None]) -> list[str]:
    return [
        field.name if column is None else column
        for field, column in zip(fields, given, strict=False)
    ]


def _choose(inputs: Sequence[Inputs], given: Sequence[str | None], there: Sequence[str]) -> Inputs:
    """Return what the input is made of: as many fields as the options or the columns say."""
    text, text_pair = given
    widest = max(inputs, key=len)
    if text_pair is not None:
        if len(widest) < 2:
            raise DataError(
                f"--text-pair {text_pair!r} names second texts, which this kind does not have: "
                "use --kind pair"
            )
        return widest
    for fields in inputs:
        if text is None and all(field.name in there for field in fields):
            return fields
    return inputs[0]


def _lines(source: str, inputs: Inputs, wanted: str | None) -> Sequence[Json]:
    if len(inputs) > 1:
        raise DataError(
            f"{source} has one text a line, and this kind takes {len(inputs)}: give a .tsv, .csv "
            f"or .jsonl file with the columns {', '.join(field.name for field in inputs)}"
        )
    if wanted is not None:
        raise DataError(f"{source} has lines and no columns: leave out --text {wanted!r}")
    text = decode(source, _bytes_of(Path(source)))
    if not text.strip():
        raise DataError(f"{source} is empty")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    field = Field("text", "text", "--text")
    return read_column(source, pa.table({"text": pa.array(lines, pa.string())}), field, "text")


def _read(source: str, wanted: Collection[str]) -> pa.Table:
    """Return the table of a source, in which at least the wanted columns can be used."""
    if source.startswith(HUB):
        return read_hub(source)
    path = Path(source)
    if is_path(path.is_dir):
        return read_saved(source, path, None)
    folder, colon, split = source.rpartition(":")
    if colon and not is_path(path.exists) and is_path(Path(folder).is_dir):
        return read_saved(source, Path(folder), split)
    if path.suffix.lower() not in READERS and is_path(path.exists):
        raise DataError(
            f"{source} has the ending {path.suffix!r}: taskbank reads {', '.join(READERS)}, "
            "a folder that datasets saved, and hf:NAME"
        )
    data = _bytes_of(path)
    if not data.strip():
        raise DataError(f"{source} is empty")
    try:
        table = READERS[path.suffix.lower()](source, data, wanted)
        names = Counter(table.column_names)  # which may be no UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source} cannot be read as {path.suffix}: {reason_of(error)}") from None
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DataError(f"{source} has more than one column {shown(twice[0])}: rename one")
    if table.num_rows == 0:
        raise DataError(f"{source} has no rows")
    return table


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is not there: give a file, a folder or hf:NAME") from None
    except OSError as error:
        raise DataError(f"{shown(str(path))} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{shown(str(path))} cannot be read: {error}") from None
