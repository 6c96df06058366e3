"""The columns that a kind of task needs: a name, a type and the option that renames it.

text     a text that is not blank
class    one class: text, a whole number, a truth value, or a ClassLabel of `datasets`
number   a finite number
classes  a list of distinct classes, possibly empty
words    a list of words, none blank
tags     a list of classes
answers  {"text": [...], "answer_start": [...]}, as in SQuAD; empty lists mean unanswerable
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from taskbank.digests import Json

SHOWN = 40  # characters of a value, and
Type = Literal["text", "class", "number", "classes", "words", "tags", "answers"]


@dataclass(frozen=True)
class Field:
    """A column that a kind of task needs.

    Attributes:
        name: its canonical name, under which the bank stores it.
        type: what a value is.
        option: of the command line, that names the column in the data.
    """

    name: str
    type: Type
    option: str


def wrong_value(field: Field, values: Sequence[Json]) -> int | None:
    """Return the row (from 1) of the first value that a field of this type cannot have, if any.

    For values that were read from a bank or an export and not from a user's file.
    """
    fits = _FITS[field.type]
    return next((row for row, value in enumerate(values, start=1) if not fits(value)), None)


def is_number(value: Json) -> bool:
    """Return whether a value is a finite number, and no truth value."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def shown(value: Any) -> str:
    """Return a value as an error shows it, cut where it is long."""
    if isinstance(value, str):
        return repr(value[:SHOWN]) + ("…" if len(value) > SHOWN else "")
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def squad_answers(value: Any) -> dict[str, list[Any]] | None:
    """Return answers in SQuAD's form, or none; a list of single answers is one of its forms."""
    if isinstance(value, list):
        if not all(isinstance(one, Mapping) for one in value):
            return None
        value = {key: [one.get(key) for one in value] for key in ("text", "answer_start")}
    if not isinstance(value, Mapping):
        return None
    texts, starts = value.get("text"), value.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        return None
    if not all_of_type(texts, str) or not all_of_type(starts, int):
        return None
    return {"text": list(texts), "answer_start": list(starts)}


def all_of_type(values: Iterable[Any], wanted: type) -> bool:
    """Return whether every value is of exactly one type: `True` is not an integer here."""
    return all(type(value) is wanted for value in values)


def is_text_list(value: Json) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all_of_type(value, str)


_FITS: dict[Type, Callable[[Json], bool]] = {
    "text": lambda value: isinstance(value, str),
    "class": lambda value: isinstance(value, str),
    "number": is_number,
    "classes": is_text_list,
    "words": lambda value: is_text_list(value) and bool(value),
    "tags": is_text_list,
    "answers": lambda value: isinstance(value, dict) and squad_answers(value) == value,
}
