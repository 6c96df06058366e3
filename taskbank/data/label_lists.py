"""The lists of labels that a data set for the kind `multilabel` holds in other forms.

a;b               labels in one text, with `;` or `|` between them
[0, 1, 1]         a 0 or 1 for each label, whose names are given
three columns     one column per label, of 0 and 1 or of truth values
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskbank.data.fields import preview
from taskbank.data.remarks import remark
from taskbank.errors import DataError

SEPARATORS = (";", "|")
MARKS: Mapping[Any, bool] = {
    **{1: True, "1": True, "1.0": True, "true": True},
    **{0: False, "0": False, "0.0": False, "false": False},
}


def divide_labels(source: str, column: str, cells: Sequence[Any]) -> list[Any]:
    """Return the cells of a column, with texts such as `a;b` as lists of labels.

    Args:
        source: the column's source, for the remark.
        column: the column's name, for the remark.
        cells: the cells; if they are JSON, or no text has a separator, they stay as they are.
    """
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells) or any(text.lstrip().startswith("[") for text in texts):
        return list(cells)
    separator = next((sign for sign in SEPARATORS if any(sign in text for text in texts)), None)
    if separator is None:
        return list(cells)
    remark(f"the labels in column {column!r} of {source} are divided at {separator!r}")
    return [
        [label.strip() for label in text.split(separator)] if text.strip() else [] for text in texts
    ]


def name_marks(
    source: str, column: str, lists: Sequence[Any], names: Sequence[str] | None
) -> list[list[str]] | None:
    """Return the labels of rows that have a 0 or 1 for each label, or None if they have not.

    Args:
        source: the column's source, for errors.
        column: the column's name, for errors.
        lists: the lists of every row.
        names: the names of the labels, if they are known.

    Raises:
        DataError: if there is a 0 or 1 for each label and their names are not known.
    """
    sizes = {len(value) if isinstance(value, list) else -1 for value in lists}
    is_marked = (
        len(sizes) == 1
        and -1 not in sizes
        and all(type(item) is int and item in (0, 1) for value in lists for item in value)
        and any(len(set(value)) < len(value) for value in lists)
    )
    if not is_marked:
        return None
    (size,) = sizes
    if names is None or len(names) != size:
        raise DataError(
            f"column {column!r} of {source} has a 0 or 1 for each of {size} labels, such as "
            f"{preview(lists[0])}, and "
            + ("no names for them" if names is None else f"{len(names)} names are given")
            + f": give {size} names with --label-names, or write the names in lists"
        )
    return [[name for name, mark in zip(names, value, strict=True) if mark == 1] for value in lists]


def lists_of_marks(source: str, columns: Mapping[str, Sequence[Any]]) -> tuple[list[str], ...]:
    """Return the labels of every row, from one column of marks per label.

    Args:
        source: the columns' source, for errors.
        columns: the marks of every row, by label: 0 or 1, or truth values.

    Raises:
        DataError: naming the row and the column of a value that is no mark.
    """
    marks = {}
    for name, values in columns.items():
        plain = [value.strip().lower() if isinstance(value, str) else value for value in values]
        for row, value in enumerate(plain, start=1):
            if value not in MARKS:
                raise DataError(
                    f"row {row:,} of {source} has {preview(values[row - 1])} in column {name!r}: a "
                    "column per label has 0 or 1, or true or false"
                )
        marks[name] = [MARKS[value] for value in plain]
    return tuple(
        [name for name, mark in zip(marks, row, strict=True) if mark]
        for row in zip(*marks.values(), strict=True)
    )
