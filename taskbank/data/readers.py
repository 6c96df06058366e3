"""Reads files into Arrow tables, one reader per format."""

from __future__ import annotations

import csv
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from io import StringIO
from typing import Any

import pyarrow as pa
from pyarrow import feather, ipc, parquet

from taskbank.data.fields import preview
from taskbank.errors import DataError


def decode(source: str, data: bytes) -> str:
    """Return the text of a file's bytes, without a byte order mark.

    Raises:
        DataError: if the bytes are not UTF-8.
    """
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source} is not UTF-8 ({error}): convert it, for example with iconv -t UTF-8"
        ) from None


def _read_csv(source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    return _read_separated(source, decode(source, data), delimiter=",", quoting=csv.QUOTE_MINIMAL)


def _read_tsv(source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    return _read_separated(source, decode(source, data), delimiter="\t", quoting=csv.QUOTE_NONE)


def _read_separated(source: str, text: str, **style: Any) -> pa.Table:
    rows = _split_rows(source, text, style)
    header = next((row for row in rows if row), None)
    if header is None:
        raise DataError(f"{source} is empty")
    # With a single column, a blank line is a row with an empty text; otherwise it is skipped.
    values = [row or [""] for row in rows[rows.index(header) + 1 :] if row or len(header) == 1]
    for number, row in enumerate(values, start=1):
        if len(row) != len(header):
            raise DataError(
                f"row {number} of {source} cannot be read: it has {len(row)} values and the "
                f"header {len(header)}, and begins with {preview(row[0])}; put quotes around a "
                "value that has a separator or a line end in it"
            )
    columns = zip(*values, strict=True) if values else [()] * len(header)
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], names=header)


def _split_rows(source: str, text: str, style: Mapping[str, Any]) -> list[list[str]]:
    # Python's reader instead of pyarrow's, which reads an unclosed quote as one long value and
    # silently drops the rows after it.
    reader = csv.reader(StringIO(text, newline=""), strict=True, **style)
    rows, first_line = [], 1
    limit = csv.field_size_limit(len(text) + 1)
    try:
        for row in reader:
            rows.append(row)
            first_line = reader.line_num + 1
    except csv.Error as error:
        reason = "a quote is never closed" if "end of data" in str(error) else str(error)
        raise DataError(
            f"{source} cannot be read: {reason}, in the row that begins on line {first_line}; "
            'write a quote inside a value twice, as in "say ""no"""'
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows


def _read_jsonl(source: str, data: bytes, wanted: Collection[str]) -> pa.Table:
    rows = []
    for number, line in enumerate(decode(source, data).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_unique_keys)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"line {number} of {source} is not JSON ({error}): write one object per line"
            ) from None
        if not isinstance(row, dict):
            raise DataError(
                f"line {number} of {source} is {preview(line)}: write one object per line"
            )
        rows.append(row)
    # Columns that are not read may hold anything; only their names are kept, for errors.
    names = dict.fromkeys(name for row in rows for name in row if _encodable(name))
    others = pa.nulls(len(rows))
    return pa.table(
        {name: _json_column(source, name, rows) if name in wanted else others for name in names}
    )


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        repeated = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"it repeats the key {repeated!r}")
    return row


def _json_column(source: str, name: str, rows: Sequence[dict[str, Any]]) -> pa.Array:
    values = [row.get(name) for row in rows]
    first: tuple[int, Any] | None = None
    for number, value in enumerate(values, start=1):
        if value is None:
            continue
        if not _encodable(value):
            raise DataError(
                f"row {number} of {source} has half a surrogate pair in {name!r}: {preview(value)}"
            )
        first = first or (number, value)
        if _json_type(value) != _json_type(first[1]):
            raise DataError(
                f"{name!r} of {source} is {preview(first[1])} in row {first[0]} and "
                f"{preview(value)} in row {number}: write one type in every row"
            )
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        row = _first_unusable(values)
        raise DataError(
            f"row {row} of {source} has {preview(values[row - 1])} in {name!r}, which cannot be "
            f"read together with the rows before it: {reason_of(error)}"
        ) from None


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_type(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _first_unusable(values: Sequence[Any]) -> int:
    """Return the first row (from 1) whose value does not fit the Arrow column of those before."""

    def unusable(count: int) -> bool:
        try:
            pa.array(values[:count])
        except (pa.ArrowException, OverflowError):
            return True
        return False

    return bisect_left(range(1, len(values) + 1), True, key=unusable) + 1


def _read_parquet(_source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    return parquet.read_table(pa.BufferReader(data))


def _read_arrow(_source: str, data: bytes, _wanted: Collection[str]) -> pa.Table:
    buffer = pa.BufferReader(data)
    if data.startswith(b"FEA1"):
        return feather.read_table(buffer)
    if data.startswith(b"ARROW1"):
        return ipc.open_file(buffer).read_all()
    return ipc.open_stream(buffer).read_all()


READERS: dict[str, Callable[[str, bytes, Collection[str]], pa.Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".json": _read_jsonl,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
}


def reason_of(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
