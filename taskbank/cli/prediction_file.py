"""Writes predictions to a file: CSV, Parquet or JSON lines.

The texts of a CSV file come from anybody, and a spreadsheet runs a cell that begins with `=`, `+`,
`-` or `@` as a formula. Such a text gets an apostrophe before it, which spreadsheets do not show.
Numbers are written as they are, also where they are labels. Parquet and JSON lines hold every text
unchanged.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from taskbank.data.fields import preview
from taskbank.errors import InputError
from taskbank.runtime.files import write_file

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
Rows = Sequence[Mapping[str, Any]]


def check_output(path: Path, source: str | None) -> None:
    """Raise unless predictions can be written to a file, before they are computed.

    Args:
        path: the file to write.
        source: the file that is predicted, if there is one.

    Raises:
        InputError: if the ending is unknown, or the file or its folder cannot be written.
    """
    if path.suffix.lower() not in WRITERS:
        raise InputError(
            f"--output {preview(str(path))} has the ending {path.suffix!r}: predictions are "
            f"written as {', '.join(WRITERS)}"
        )
    if source is not None and _same_file(path, Path(source)):
        raise InputError(f"--output {preview(str(path))} is the file to predict: name another one")
    if path.is_dir():
        raise InputError(f"--output {preview(str(path))} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"the folder {preview(str(path.parent))} of --output does not exist")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"the folder {preview(str(path.parent))} of --output cannot be written")


def write_predictions(path: Path, rows: Rows) -> int:
    """Write predictions to a file, whole or not at all.

    Args:
        path: the file; its ending gives the format. An existing file is replaced.
        rows: one prediction per row, with values by column.

    Returns:
        the number of texts that were marked because a spreadsheet would run them as formulas.

    Raises:
        ResourceError: if the disk is full or failed.
        InputError: if the file cannot be written for another reason.
    """
    data, marked = WRITERS[path.suffix.lower()](rows)
    write_file(path, data)
    return marked


def _same_file(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:
        return False


def _write_jsonl(rows: Rows) -> tuple[bytes, int]:
    lines = (json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)
    return "".join(lines).encode(), 0


def _write_csv(rows: Rows) -> tuple[bytes, int]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    marked = 0
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        cells = [_cell(row.get(name)) for name in names]
        formulas = [_is_formula(row.get(name)) for name in names]
        marked += sum(formulas)
        writer.writerow(
            [f"'{cell}" if mark else cell for cell, mark in zip(cells, formulas, strict=True)]
        )
    return text.getvalue().encode(), marked


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return value if isinstance(value, str) else repr(value)


def _is_formula(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(FORMULAS) and not NUMBER.fullmatch(value)


def _write_parquet(rows: Rows) -> tuple[bytes, int]:
    import pyarrow as pa
    from pyarrow import parquet

    # The types do not depend on the values, so that files of one task fit together.
    candidate = {"label": pa.string(), "probability": pa.float64()}
    entity = {"text": pa.string(), "type": pa.string(), "start": pa.int64(), "end": pa.int64()}
    types = {
        "row": pa.int64(),
        "label": pa.string(),
        "candidates": pa.list_(pa.struct(candidate)),
        "score": pa.float64(),
        "value": pa.float64(),
        "start": pa.int64(),
        "end": pa.int64(),
        "answer": pa.string(),
        "probabilities": pa.map_(pa.string(), pa.float64()),
        "labels": pa.list_(pa.string()),
        "words": pa.list_(pa.string()),
        "tags": pa.list_(pa.string()),
        "entities": pa.list_(pa.struct(entity | {"score": pa.float64()})),
    }
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if name == "probabilities":
            values = [None if value is None else list(value.items()) for value in values]
        columns[name] = pa.array(values, types.get(name))
    sink = BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue(), 0


WRITERS: dict[str, Callable[[Rows], tuple[bytes, int]]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
}
