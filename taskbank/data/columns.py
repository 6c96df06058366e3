"""Reads one column of a table and checks its values.

Files that hold only text (CSV, TSV) write lists and answers as JSON. Errors name the file, the
row (counted from 1, without the header) and the value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa

from taskbank.data.fields import PREVIEW_LENGTH, VALIDATORS, Type, parse_squad_answers, preview
from taskbank.digests import Json
from taskbank.errors import DataError

if TYPE_CHECKING:
    from taskbank.data.fields import Field

MAX_LISTED_COLUMNS = 20  # number of columns that an error lists


def read_column(source: str, table: pa.Table, field: Field, column: str) -> tuple[Json, ...]:
    """Return the checked values of one column.

    Args:
        source: the table's origin, for errors.
        table: the table to read.
        field: the field that the column is read as.
        column: the column's name in the table.

    Raises:
        DataError: naming the first rows with an invalid value.
    """
    values = _find_column(source, table, field, column)
    reader = _READERS[field.type]
    return tuple(reader(_Origin(source, column, field.option, _class_names(table, column)), values))


@dataclass(frozen=True)
class _Origin:
    """A column's source, name, command-line option and class names."""

    source: str
    column: str
    option: str
    classes: tuple[str, ...] | None

    def error(self, row: int, value: Any, problem: str) -> DataError:
        return DataError(
            f"row {row:,} of {self.source} has {preview(value)} in column {self.column!r}, "
            f"{problem}"
        )


def _find_column(source: str, table: pa.Table, field: Field, name: str) -> pa.ChunkedArray:
    count = table.column_names.count(name)
    if count != 1:
        problem = "more than one column" if count else "no column"
        listed = ", ".join(
            column if column.isprintable() and len(column) <= PREVIEW_LENGTH else preview(column)
            for column in table.column_names[:MAX_LISTED_COLUMNS]
        )
        raise DataError(
            f"{source} has {problem} {name!r}; its columns are {listed}"
            f"{', …' if table.num_columns > MAX_LISTED_COLUMNS else ''}. "
            f"Name the right one with {field.option} COL"
        )
    column = table[name]
    try:
        column.validate(full=True)  # reading checks neither UTF-8 nor value offsets
    except pa.ArrowException as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"column {name!r} of {source} is damaged: {reason}") from None
    return column


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
    if not (_is_class(dtype) or pa.types.is_null(dtype)):
        raise DataError(
            f"label column {origin.column!r} of {origin.source} holds {dtype}, not one class per "
            f"row: name another column with {origin.option} COL"
        )
    values = _values(origin, column)
    if origin.classes is not None and pa.types.is_integer(dtype):
        unlabelled = [row for row, number in enumerate(values, start=1) if number == -1]
        if unlabelled:
            raise DataError(
                f"{origin.source} is not labelled: {len(unlabelled):,} rows have -1 in column "
                f"{origin.column!r}, row {_list_rows(unlabelled)}; choose another split"
            )
    labels = [_class_text(origin, row, value) for row, value in enumerate(values, start=1)]
    return _require_text(origin, "label", labels)


def _class_text(origin: _Origin, row: int, value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and origin.classes is not None:
        if value == -1:
            raise DataError(
                f"{origin.source} is not labelled: row {row} has -1 in column {origin.column!r}; "
                "choose another split"
            )
        if not 0 <= value < len(origin.classes):
            raise DataError(
                f"row {row} of {origin.source} has class {value} in column {origin.column!r}, "
                f"which names only {len(origin.classes)} classes, from 0: save the data set again"
            )
        return origin.classes[value]
    return None if value is None else str(value)


def _class_names(table: pa.Table, name: str) -> tuple[str, ...] | None:
    # `datasets` writes the types of its columns into the table's metadata in every file format.
    stored = (table.schema.metadata or {}).get(b"huggingface", b"null")
    try:
        feature = json.loads(stored)["info"]["features"][name]
        if isinstance(feature, list):  # older versions wrote a list of classes this way
            (feature,) = feature
        names = feature.get("feature", feature)["names"]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


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
    lists = _read_lists(origin, column, "labels", ["sport", "politics"])
    for row, value in enumerate(lists, start=1):
        if len(set(value)) < len(value):
            raise origin.error(row, value, "which repeats a label: write each label once")
    return lists


def _read_words(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    lists = _read_lists(origin, column, "words", ["Ada", "lives", "here"])
    for row, value in enumerate(lists, start=1):
        if not value:
            raise origin.error(row, value, "which has no word: leave the row out")
    return lists


def _read_tags(origin: _Origin, column: pa.ChunkedArray) -> Sequence[Json]:
    return _read_lists(origin, column, "tags", ["B-name", "O", "O"])


def _read_lists(
    origin: _Origin, column: pa.ChunkedArray, what: str, example: list[str]
) -> list[list[str]]:
    lists = []
    for row, cell in enumerate(_values(origin, column), start=1):
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
        values: list[Any] = column.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as error:  # such as the year 10^9
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"column {origin.column!r} of {origin.source} holds {column.type}, whose values cannot "
            f"be read ({reason}): name another column with {origin.option} COL"
        ) from None
    return values


def _plain_type(column: pa.ChunkedArray) -> pa.DataType:
    dtype = column.type
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def _is_text(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(dtype)
        or pa.types.is_large_string(dtype)
        or pa.types.is_string_view(dtype)
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
