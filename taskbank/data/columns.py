"""Reads one column of a table into checked plain values.

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

from taskbank.data.fields import _FITS, SHOWN, Type, shown, squad_answers
from taskbank.digests import Json
from taskbank.errors import DataError

if TYPE_CHECKING:
    from taskbank.data.fields import Field

MANY = 20  # columns, that an error shows


def read_column(source: str, table: pa.Table, field: Field, column: str) -> tuple[Json, ...]:
    """Return the checked values of one column.

    Args:
        source: where the table came from, for errors.
        table: with its columns.
        field: what is wanted.
        column: what it is called in the table.

    Raises:
        DataError: naming the first rows whose value is not usable.
    """
    found = _column(source, table, field, column)
    read = _READERS[field.type]
    return tuple(read(_Place(source, column, field.option, _class_names(table, column)), found))


@dataclass(frozen=True)
class _Place:
    """Where a value stands: the source, the column, its option and what names its classes."""

    source: str
    column: str
    option: str
    classes: tuple[str, ...] | None

    def wrong(self, row: int, value: Any, problem: str) -> DataError:
        return DataError(
            f"row {row:,} of {self.source} has {shown(value)} in column {self.column!r}, {problem}"
        )


def _column(source: str, table: pa.Table, field: Field, wanted: str) -> pa.ChunkedArray:
    there = table.column_names.count(wanted)
    if there != 1:
        problem = "more than one column" if there else "no column"
        known = ", ".join(
            column if column.isprintable() and len(column) <= SHOWN else shown(column)
            for column in table.column_names[:MANY]
        )
        raise DataError(
            f"{source} has {problem} {wanted!r}; its columns are {known}"
            f"{', …' if table.num_columns > MANY else ''}. "
            f"Name the right one with {field.option} COL"
        )
    column = table[wanted]
    try:
        column.validate(full=True)  # reading checks neither UTF-8 nor where values begin and end
    except pa.ArrowException as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"column {wanted!r} of {source} is damaged: {reason}") from None
    return column


def _read_texts(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    kind = _plain_type(column)
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"column {place.column!r} of {place.source} holds {kind}, not text: name another "
            f"column with {place.option} COL"
        )
    return _filled(place, "text", _values(place, column))


def _read_classes_of_one(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    kind = _plain_type(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        raise DataError(
            f"label column {place.column!r} of {place.source} holds fractions ({kind}), not "
            f"classes: name another column with {place.option} COL, write the classes as names "
            "or whole numbers, or use --kind regression"
        )
    if not (_is_class(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"label column {place.column!r} of {place.source} holds {kind}, not one class a row: "
            f"name another column with {place.option} COL"
        )
    values = _values(place, column)
    if place.classes is not None and pa.types.is_integer(kind):
        unlabelled = [row for row, number in enumerate(values, start=1) if number == -1]
        if unlabelled:
            raise DataError(
                f"{place.source} is not labelled: {len(unlabelled):,} rows have -1 in column "
                f"{place.column!r}, row {_some(unlabelled)}; choose another split"
            )
    named = [_class_text(place, row, value) for row, value in enumerate(values, start=1)]
    return _filled(place, "label", named)


def _class_text(place: _Place, row: int, value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and place.classes is not None:
        if value == -1:
            raise DataError(
                f"{place.source} is not labelled: row {row} has -1 in column {place.column!r}; "
                "choose another split"
            )
        if not 0 <= value < len(place.classes):
            raise DataError(
                f"row {row} of {place.source} has class {value} in column {place.column!r}, which "
                f"names only {len(place.classes)} classes, from 0: save the data set again"
            )
        return place.classes[value]
    return None if value is None else str(value)


def _class_names(table: pa.Table, name: str) -> tuple[str, ...] | None:
    # `datasets` writes what its columns are into the table's metadata, whatever the file format.
    stored = (table.schema.metadata or {}).get(b"huggingface", b"null")
    try:
        feature = json.loads(stored)["info"]["features"][name]
        if isinstance(feature, list):  # as older versions wrote a list of classes
            (feature,) = feature
        names = feature.get("feature", feature)["names"]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        return None
    return tuple(names)


def _filled(place: _Place, what: str, values: Sequence[str | None]) -> list[str]:
    empty = [row for row, value in enumerate(values, start=1) if not (value or "").strip()]
    if empty:
        raise DataError(
            f"{len(empty):,} rows of {place.source} have no {what} in column {place.column!r}: row "
            f"{_some(empty)}; fill them in or leave them out"
        )
    found = [value for value in values if value is not None]
    for row, value in enumerate(found, start=1):
        _check_storable(place, row, value)
    return found


def _check_storable(place: _Place, row: int, value: str) -> None:
    if "\x00" in value:
        raise DataError(
            f"row {row} of {place.source} has a NUL character in column {place.column!r}: "
            f"{shown(value)}"
        )
    if value != value.encode(errors="ignore").decode():  # JSON can write it, UTF-8 cannot
        raise DataError(
            f"row {row} of {place.source} has half a surrogate pair in column {place.column!r}: "
            f"{shown(value)}"
        )


def _some(rows: Sequence[int]) -> str:
    listed = ", ".join(f"{row:,}" for row in rows[:5])
    return listed + (", …" if len(rows) > 5 else "")


def _read_numbers(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    kind = _plain_type(column)
    if not (_is_number(kind) or _is_text(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"column {place.column!r} of {place.source} holds {kind}, not numbers: name another "
            f"column with {place.option} COL"
        )
    numbers = []
    for row, value in enumerate(_values(place, column), start=1):
        number = _number(value)
        if number is None:
            raise place.wrong(
                row,
                value,
                "which is no finite number: correct it, or name another column with "
                f"{place.option} COL",
            )
        numbers.append(number)
    return numbers


def _number(value: Any) -> float | None:
    """Return a finite number, or none; Python reads 1_000 as one, other programs do not."""
    try:
        number = math.nan if isinstance(value, str) and "_" in value else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _read_class_lists(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    lists = _lists(place, column, "labels", ["sport", "politics"])
    for row, value in enumerate(lists, start=1):
        if len(set(value)) < len(value):
            raise place.wrong(row, value, "with a label twice: write each once")
    return lists


def _read_words(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    lists = _lists(place, column, "words", ["Ada", "lives", "here"])
    for row, value in enumerate(lists, start=1):
        if not value:
            raise place.wrong(row, value, "which has no word: leave the row out")
    return lists


def _read_tags(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    return _lists(place, column, "tags", ["B-name", "O", "O"])


def _lists(
    place: _Place, column: pa.ChunkedArray, what: str, example: list[str]
) -> list[list[str]]:
    found = []
    for row, given in enumerate(_values(place, column), start=1):
        value = _from_json(given)
        if not isinstance(value, list):
            raise place.wrong(
                row,
                given,
                f"which is not a list of {what}: write {json.dumps(example)}, or name "
                f"another column with {place.option} COL",
            )
        items = [
            _class_text(place, row, one) if isinstance(one, str | int) else None for one in value
        ]
        texts = [one for one in items if one is not None and one.strip()]
        if len(texts) < len(items):
            raise place.wrong(row, given, f"with one of its {what} that is blank or no text")
        for text in texts:
            _check_storable(place, row, text)
        found.append(texts)
    return found


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _read_answers(place: _Place, column: pa.ChunkedArray) -> Sequence[Json]:
    found = []
    for row, given in enumerate(_values(place, column), start=1):
        answers = squad_answers(_from_json(given))
        if answers is None:
            raise place.wrong(
                row,
                given,
                'which are no answers: write {"text": ["…"], "answer_start": [0]} '
                f"as SQuAD does, or name another column with {place.option} COL",
            )
        for text in answers["text"]:
            _check_storable(place, row, text)
        found.append(answers)
    return found


def _values(place: _Place, column: pa.ChunkedArray) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as error:  # such as a date in year 10^9
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"column {place.column!r} of {place.source} holds {column.type}, whose values cannot "
            f"be read ({reason}): name another column with {place.option} COL"
        ) from None
    return values


def _plain_type(column: pa.ChunkedArray) -> pa.DataType:
    kind = column.type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _is_class(kind: pa.DataType) -> bool:
    return _is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


_READERS: dict[Type, Callable[[_Place, pa.ChunkedArray], Sequence[Json]]] = {
    "text": _read_texts,
    "class": _read_classes_of_one,
    "number": _read_numbers,
    "classes": _read_class_lists,
    "words": _read_words,
    "tags": _read_tags,
    "answers": _read_answers,
}


assert set(_READERS) == set(_FITS) == set(get_args(Type))  # noqa: S101 - at import: a type without a reader
