"""Reads one column of a table and checks its values.

Files that hold only text (CSV, TSV) write lists and answers as JSON. Errors name the file, the
row (counted from 1, without the header) and the value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa

from taskbank.data.fields import VALIDATORS, Type, parse_squad_answers, preview
from taskbank.data.label_lists import divide_labels, lists_of_marks, name_marks
from taskbank.data.table import Table, reason_of
from taskbank.digests import Json
from taskbank.errors import DataError

if TYPE_CHECKING:
    from taskbank.data.fields import Field

BOOLEANS = (("True", "False"), ("TRUE", "FALSE"))  # as programs write true and false


def read_column(
    table: Table, field: Field, name: str, label_names: Sequence[str] | None = None
) -> tuple[Json, ...]:
    """Return the checked values of one column.

    Args:
        table: the table to read.
        field: the field that the column is read as.
        name: the column's name in the table; of lists of labels also the names of all columns, if
            there is one column per label.
        label_names: names of the classes, which are whole numbers from 0 in the table; None means
            that the table names them, or that their values are their names.

    Raises:
        DataError: naming the first rows with an invalid value.
    """
    parts = [part.strip() for part in name.split(",")]
    if field.type == "classes" and len(parts) > 1 and all(map(table.has, parts)):
        # One column per label, each of which has a 0 or 1.
        marks = {part: table.column(part, field.option).to_pylist() for part in parts}
        return lists_of_marks(table.origin, marks)
    values = table.column(name, field.option)
    classes = table.class_names(table.find(name) or name)
    if label_names is not None:
        classes = tuple(label_names)
    origin = _Origin(table.origin, name, field.option, classes, named=label_names is not None)
    return tuple(_READERS[field.type](origin, values))


@dataclass(frozen=True)
class _Origin:
    """A column's source, name, command-line option and class names.

    `named` is true if the user named the classes, false if the table did.
    """

    source: str
    column: str
    option: str
    classes: tuple[str, ...] | None
    named: bool = False

    def error(self, row: int, value: Any, problem: str) -> DataError:
        return DataError(
            f"row {row:,} of {self.source} has {preview(value)} in column {self.column!r}, "
            f"{problem}"
        )


def _read_texts(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    dtype = _plain_type(column)
    if not (_is_text(dtype) or pa.types.is_null(dtype)):
        raise DataError(
            f"column {origin.column!r} of {origin.source} holds {dtype}, not text: name another "
            f"column with {origin.option} COL"
        )
    return _require_text(origin, "text", _values(origin, column))


def _read_classes(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    dtype = _plain_type(column)
    if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        raise DataError(
            f"label column {origin.column!r} of {origin.source} holds fractions ({dtype}), not "
            f"classes: name another column with {origin.option} COL, write the classes as names "
            "or whole numbers, or use --kind regression"
        )
    is_list = _is_list(dtype) and _is_class(dtype.value_type)
    if not (_is_class(dtype) or is_list or pa.types.is_null(dtype)):
        raise DataError(
            f"label column {origin.column!r} of {origin.source} holds {dtype}, not one class per "
            f"row: name another column with {origin.option} COL"
        )
    values = _values(origin, column)
    if is_list:
        values = [_only_class(origin, row, value) for row, value in enumerate(values, start=1)]
    if origin.classes is not None and pa.types.is_integer(dtype):
        unlabelled = [row for row, number in enumerate(values, start=1) if number == -1]
        if unlabelled:
            raise DataError(
                f"{origin.source} is not labelled: {len(unlabelled):,} rows have -1 in column "
                f"{origin.column!r}, row {_list_rows(unlabelled)}; choose another split"
            )
    labels = [_class_text(origin, row, value) for row, value in enumerate(values, start=1)]
    if any(set(labels) == set(names) for names in BOOLEANS):
        labels = [None if label is None else label.lower() for label in labels]
    return _require_text(origin, "label", labels)


def _only_class(origin: _Origin, row: int, value: list[Any] | None) -> Any:
    """Return the class of a list of one, as programs for labelling export it."""
    if value is None or len(value) == 0:
        return None
    if len(value) > 1:
        raise origin.error(row, value, "which is not one class: use --kind multilabel")
    return value[0]


def _class_text(origin: _Origin, row: int, value: Any) -> str | None:
    if origin.named and value is not None:
        value = _class_number(origin, row, value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and origin.classes is not None:
        if value == -1:
            raise DataError(
                f"{origin.source} is not labelled: row {row} has -1 in column {origin.column!r}; "
                "choose another split"
            )
        if not 0 <= value < len(origin.classes):
            names = "--label-names names" if origin.named else "which names"
            remedy = "name every class" if origin.named else "save the data set again"
            raise DataError(
                f"row {row} of {origin.source} has class {value} in column {origin.column!r}, "
                f"{names} only {len(origin.classes)} classes, from 0: {remedy}"
            )
        return origin.classes[value]
    return None if value is None else str(value)


def _class_number(origin: _Origin, row: int, value: Any) -> int:
    """Return a whole number that a label name stands for; CSV files write it as text."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise origin.error(
            row,
            value,
            "which is not a whole number for --label-names to name: leave that option out, or name "
            f"another column with {origin.option} COL",
        )
    return value


def _require_text(origin: _Origin, what: str, values: Sequence[str | None]) -> list[str]:
    empty = [row for row, value in enumerate(values, start=1) if not (value or "").strip()]
    if empty:
        raise DataError(
            f"{len(empty):,} rows of {origin.source} have no {what} in column {origin.column!r}: "
            f"row {_list_rows(empty)}; fill them in or leave them out"
        )
    texts = [value for value in values if value is not None]
    for row, value in enumerate(texts, start=1):
        _check_storable(origin, row, value)
    return texts


def _check_storable(origin: _Origin, row: int, value: str) -> None:
    if "\x00" in value:
        raise DataError(
            f"row {row} of {origin.source} has a NUL character in column {origin.column!r}: "
            f"{preview(value)}"
        )
    if value != value.encode(errors="ignore").decode():  # valid in JSON, invalid in UTF-8
        raise DataError(
            f"row {row} of {origin.source} has half a surrogate pair in column {origin.column!r}: "
            f"{preview(value)}"
        )


def _list_rows(rows: Sequence[int]) -> str:
    listed = ", ".join(f"{row:,}" for row in rows[:5])
    return listed + (", …" if len(rows) > 5 else "")


def _read_numbers(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    dtype = _plain_type(column)
    if not (_is_number(dtype) or _is_text(dtype) or pa.types.is_null(dtype)):
        raise DataError(
            f"column {origin.column!r} of {origin.source} holds {dtype}, not numbers: name another "
            f"column with {origin.option} COL"
        )
    numbers = []
    for row, value in enumerate(_values(origin, column), start=1):
        number = _number(value)
        if number is None:
            raise origin.error(
                row,
                value,
                "which is not a finite number: correct it, or name another column with "
                f"{origin.option} COL",
            )
        numbers.append(number)
    return numbers


def _number(value: Any) -> float | None:
    """Return a finite number or None; reject 1_000, which only Python reads as a number."""
    try:
        number = math.nan if isinstance(value, str) and "_" in value else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _read_class_lists(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    cells = divide_labels(origin.source, origin.column, _values(origin, column))
    named = name_marks(
        origin.source, origin.column, [_from_json(cell) for cell in cells], origin.classes
    )
    if named is not None:
        return named
    lists = _read_lists(origin, cells, "labels", ["sport", "politics"])
    for row, value in enumerate(lists, start=1):
        if len(set(value)) < len(value):
            raise origin.error(row, value, "which repeats a label: write each label once")
    return lists


def _read_words(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    lists = _read_lists(origin, _values(origin, column), "words", ["Ada", "lives", "here"])
    for row, value in enumerate(lists, start=1):
        if not value:
            raise origin.error(row, value, "which has no word: leave the row out")
    return lists


def _read_tags(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    return _read_lists(origin, _values(origin, column), "tags", ["B-name", "O", "O"])


def _read_lists(
    origin: _Origin, cells: Sequence[Any], what: str, example: list[str]
) -> list[list[str]]:
    lists = []
    for row, cell in enumerate(cells, start=1):
        value = _from_json(cell)
        if not isinstance(value, list):
            raise origin.error(
                row,
                cell,
                f"which is not a list of {what}: write {json.dumps(example)}, or name "
                f"another column with {origin.option} COL",
            )
        items = [
            _class_text(origin, row, item) if isinstance(item, str | int) else None
            for item in value
        ]
        texts = [item for item in items if item is not None and item.strip()]
        if len(texts) < len(items):
            raise origin.error(row, cell, f"in which one of the {what} is blank or not text")
        for text in texts:
            _check_storable(origin, row, text)
        lists.append(texts)
    return lists


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _read_answers(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    parsed = []
    for row, cell in enumerate(_values(origin, column), start=1):
        answers = parse_squad_answers(_from_json(cell))
        if answers is None:
            raise origin.error(
                row,
                cell,
                'which is not a list of answers: write {"text": ["…"], "answer_start": [0]} '
                f"as SQuAD does, or name another column with {origin.option} COL",
            )
        for text in answers["text"]:
            _check_storable(origin, row, text)
        parsed.append(answers)
    return parsed


def _values(origin: _Origin, column: pa.ChunkedArray) -> list[Any]:
    try:
        return [value for chunk in column.chunks for value in _chunk_values(chunk)]
    except (pa.ArrowException, ValueError, OverflowError) as error:  # such as the year 10^9
        raise DataError(
            f"column {origin.column!r} of {origin.source} holds {column.type}, whose values cannot "
            f"be read ({reason_of(error)}): name another column with {origin.option} COL"
        ) from None


def _chunk_values(chunk: pa.Array) -> list[Any]:
    if not pa.types.is_dictionary(chunk.type):
        values: list[Any] = chunk.to_pylist()
        return values
    # A value that many rows refer to is one object, however long it is.
    names = chunk.dictionary.to_pylist()
    return [None if place is None else names[place] for place in chunk.indices.to_pylist()]


def _plain_type(column: pa.ChunkedArray) -> pa.DataType:
    dtype = column.type
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def _is_text(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(dtype)
        or pa.types.is_large_string(dtype)
        or pa.types.is_string_view(dtype)
    )


def _is_list(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(dtype)
        or pa.types.is_large_list(dtype)
        or pa.types.is_fixed_size_list(dtype)
    )


def _is_number(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)
    )


def _is_class(dtype: pa.DataType) -> bool:
    return _is_text(dtype) or pa.types.is_integer(dtype) or pa.types.is_boolean(dtype)


_READERS: dict[Type, Callable[[_Origin, pa.ChunkedArray], Sequence[Json]]] = {
    "text": _read_texts,
    "class": _read_classes,
    "number": _read_numbers,
    "classes": _read_class_lists,
    "words": _read_words,
    "tags": _read_tags,
    "answers": _read_answers,
}


assert set(_READERS) == set(VALIDATORS) == set(get_args(Type))  # noqa: S101 - every type has a reader
