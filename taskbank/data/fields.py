"""The columns that a kind of task needs: their names, types and command-line options.

text     a text that is not blank
class    one class: text, an integer, a boolean, or a ClassLabel of `datasets`
number   a finite number
classes  a list of distinct classes, possibly empty
words    a list of nonblank words
tags     a list of classes
answers  {"text": [...], "answer_start": [...]}, as in SQuAD; empty lists mean unanswerable
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from taskbank.digests import Json

PREVIEW_LENGTH = 40  # number of characters of a value that an error quotes
Type = Literal["text", "class", "number", "classes", "words", "tags", "answers"]
CLASS_TYPES: tuple[Type, ...] = ("class", "classes", "tags")  # their values are names of classes


@dataclass(frozen=True)
class Field:
    """A column that a kind of task needs.

    Attributes:
        name: the canonical name under which the bank stores the column.
        type: the type of the values.
        option: the command-line option that names the column in the data.
    """

    name: str
    type: Type
    option: str


def first_invalid_row(field: Field, values: Sequence[Json]) -> int | None:
    """Return the row (from 1) of the first value that is invalid for a field's type, or None.

    Checks values from a bank or an export; values from a user's file are checked on reading.
    """
    is_valid = VALIDATORS[field.type]
    return next((row for row, value in enumerate(values, start=1) if not is_valid(value)), None)


def is_number(value: Json) -> bool:
    """Return whether a value is a finite number; a boolean is not."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def preview(value: Any) -> str:
    """Return a value as errors quote it, truncated if it is long."""
    if isinstance(value, str):
        return repr(value[:PREVIEW_LENGTH]) + ("…" if len(value) > PREVIEW_LENGTH else "")
    text = repr(value)
    return text if len(text) <= PREVIEW_LENGTH else text[:PREVIEW_LENGTH] + "…"


def parse_squad_answers(value: Any) -> dict[str, list[Any]] | None:
    """Return answers in SQuAD's form, or None; a list of single answers is accepted too."""
    if isinstance(value, list):
        if not all(isinstance(answer, Mapping) for answer in value):
            return None
        value = {key: [answer.get(key) for answer in value] for key in ("text", "answer_start")}
    if not isinstance(value, Mapping):
        return None
    texts, starts = value.get("text"), value.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        return None
    if not all_of_type(texts, str) or not all_of_type(starts, int):
        return None
    return {"text": list(texts), "answer_start": list(starts)}


def all_of_type(values: Iterable[Any], expected: type) -> bool:
    """Return whether every value has exactly one type: `True` is not an integer here."""
    return all(type(value) is expected for value in values)


def is_text_list(value: Json) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all_of_type(value, str)


VALIDATORS: dict[Type, Callable[[Json], bool]] = {
    "text": lambda value: isinstance(value, str),
    "class": lambda value: isinstance(value, str),
    "number": is_number,
    "classes": is_text_list,
    "words": lambda value: is_text_list(value) and bool(value),
    "tags": is_text_list,
    "answers": lambda value: isinstance(value, dict) and parse_squad_answers(value) == value,
}
