"""JSON: one object per line, or one document of objects.

A document is a list of objects, an object that has one such list (under `data`, for example), a
data frame as pandas writes it, or an export that another module of this folder knows: SQuAD's own
file, Label Studio, doccano.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from taskbank.data.fields import preview
from taskbank.data.files import File
from taskbank.data.formats.doccano import add_words_of_doccano
from taskbank.data.formats.label_studio import is_label_studio, records_of_label_studio
from taskbank.data.formats.records import Record, table_of_records
from taskbank.data.formats.squad import is_squad, records_of_squad
from taskbank.data.table import Table
from taskbank.errors import DataError

FORM = "write one object per line, or a list of objects"


def read_json(file: File) -> Table:
    """Return the table of a file of JSON.

    Raises:
        DataError: if the file cannot be read; the message names the line.
    """
    records = _records(file.shown, file.text())
    if is_label_studio(records):
        records = records_of_label_studio(file.shown, records)
    return table_of_records(file.shown, add_words_of_doccano(file.shown, records))


def _records(source: str, text: str) -> list[Record]:
    lines = [
        (number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()
    ]
    if not text.lstrip().startswith("[") and (len(lines) == 1 or _is_object(lines[0][1])):
        records: list[Record] = [_parse_line(source, number, line) for number, line in lines]
        return records if len(records) > 1 else _records_of_document(source, records[0])
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise DataError(
            f"line {error.lineno} of {source} is not JSON ({error.msg}): {FORM}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is not JSON that can be read ({error}): {FORM}") from None
    return _records_of_document(source, document)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return line.strip() != "{" and line.strip().endswith("}")


def _parse_line(source: str, number: int, line: str) -> Record:
    try:
        row = json.loads(line, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise DataError(f"line {number} of {source} is not JSON ({error}): {FORM}") from None
    if not isinstance(row, dict):
        raise DataError(f"line {number} of {source} is {preview(line)}: {FORM}")
    return row


def _records_of_document(source: str, document: Any) -> list[Record]:
    if isinstance(document, dict):
        if is_squad(document):
            return records_of_squad(source, document)
        lists = [value for value in document.values() if _is_list_of_objects(value)]
        if len(lists) == 1:
            return list(lists[0])
        return _records_of_frame(document) or [document]
    if isinstance(document, list):
        for number, item in enumerate(document, start=1):
            if not isinstance(item, dict):
                raise DataError(f"item {number} of the list in {source} is {preview(item)}: {FORM}")
        return document
    raise DataError(f"{source} is {preview(document)}: {FORM}")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _records_of_frame(document: dict[str, Any]) -> list[Record] | None:
    """Return the records of `{"text": {"0": …, "1": …}, …}`, pandas' usual form, or None."""
    columns = list(document.values())
    if not columns or not all(isinstance(column, dict) and column for column in columns):
        return None
    index = columns[0].keys()
    if any(column.keys() != index for column in columns) or not all(map(str.isdecimal, index)):
        return None
    return [{name: column[row] for name, column in document.items()} for row in index]


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        repeated = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"it repeats the key {repeated!r}")
    return row
