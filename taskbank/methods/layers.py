"""Selections of a method's layers: `all`, `top:3`, `0-5`, `8,10,11`. Knows nothing of torch."""

from __future__ import annotations

import re

from taskbank.digests import Json
from taskbank.errors import InputError

PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
TOP = re.compile(r"top:(\d{1,4})")
SYNTAX = "write all, top:3 for the last three, or layers from 0 such as 0-5 or 8,10,11"


def check_layers(name: str, value: Json) -> str:
    """Return a selection of layers as text if its syntax is valid.

    Args:
        name: the option's name, for the error.
        value: a selection such as `all`, `top:3`, `0-5` or `8,10,11`; an integer selects one layer.

    Raises:
        InputError: if the value has none of these forms.
    """
    text = str(value) if type(value) is int else value
    top = TOP.fullmatch(text) if isinstance(text, str) else None
    if isinstance(text, str) and (text == "all" or (top and int(top[1]) > 0)):
        return text
    parts = [PART.fullmatch(part) for part in text.split(",")] if isinstance(text, str) else [None]
    for part in parts:
        if part is None or int(part[2] or part[1]) < int(part[1]):
            raise InputError(f"{name} is {value!r}: {SYNTAX}")
    return str(text)


def select_layers(selection: str, count: int) -> tuple[int, ...]:
    """Return the numbers of the selected layers, from 0, in order.

    Args:
        selection: a selection, as `check_layers` returns it.
        count: the backbone's number of layers.

    Raises:
        InputError: if the selection names a layer that the backbone lacks.
    """
    if selection == "all":
        return tuple(range(count))
    top = TOP.fullmatch(selection)
    if top is not None:
        first = count - int(top[1])
        selected = set(range(max(first, 0), count))
        out_of_range = first < 0
    else:
        selected = set()
        for part in selection.split(","):
            first_text, _, last = part.partition("-")
            selected |= set(range(int(first_text), int(last or first_text) + 1))
        out_of_range = max(selected) >= count
    if out_of_range:
        raise InputError(
            f"layers is {selection!r}: the backbone has {count} layers, 0 to {count - 1}"
        )
    return tuple(sorted(selected))
