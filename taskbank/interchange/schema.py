"""Checks of JSON from outside: what each value must be, and where one is not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from taskbank.checks import check_name
from taskbank.data.fields import is_number, preview
from taskbank.digests import DIGEST, Json
from taskbank.errors import InputError
from taskbank.runtime.visible_text import is_visible

Check = Callable[[str, Json], None]  # raises InputError if the value at a place is wrong

MAX_TEXT = 100_000  # characters
MAX_DEPTH = 20  # of values in values
LARGEST = 2**63 - 1  # the largest integer of every database


def parse_json(data: bytes) -> Json:
    """Return the value of JSON from outside.

    Raises:
        ValueError: if it is not JSON, a key appears twice in an object, or a number is not finite.
        RecursionError: if values are nested too deeply.
    """
    return json.loads(
        data,
        parse_constant=_reject_constant,
        parse_float=_finite,
        object_pairs_hook=_without_repeats,
    )


def _without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} appears twice in one object")
        found[key] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def _reject_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def refuse(place: str, value: Json, requirement: str) -> InputError:
    """Return the error that names a place, its value and what it must be."""
    return InputError(f"{place} is {preview(value)}: it must be {requirement}")


def text(most: int = MAX_TEXT, *, lines: bool = False) -> Check:
    """Return a check for a text without control or invisible characters.

    Args:
        most: the largest number of characters.
        lines: whether line breaks and tabs are allowed.
    """

    def check(place: str, value: Json) -> None:
        if type(value) is not str:
            raise refuse(place, value, "a text")
        if len(value) > most:
            raise refuse(place, value, f"a text of at most {most:,} characters")
        if not is_visible(value, lines=lines):
            raise refuse(place, value, "a text without control or invisible characters")

    return check


def name(place: str, value: Json) -> None:
    """Check that a value is a name, as those of tasks, tags and metrics."""
    if type(value) is not str:
        raise refuse(place, value, "a name")
    check_name(value, place)


def digest(place: str, value: Json) -> None:
    """Check that a value is a digest."""
    if type(value) is not str or not DIGEST.fullmatch(value):
        raise refuse(place, value, "a digest, sha256: and 64 hex digits")


def moment(place: str, value: Json) -> None:
    """Check that a value is a time as taskbank writes it: ISO 8601 with microseconds."""
    try:
        found = datetime.fromisoformat(value) if type(value) is str else None
    except ValueError:
        found = None
    if found is None or found.isoformat(timespec="microseconds") != value:
        raise refuse(place, value, "a time such as 2026-01-31T12:00:00.000000+00:00")


def boolean(place: str, value: Json) -> None:
    """Check that a value is true or false."""
    if type(value) is not bool:
        raise refuse(place, value, "true or false")


def number(least: float | None = None) -> Check:
    """Return a check for a finite number, of at least `least` if that is given."""

    def check(place: str, value: Json) -> None:
        if not is_number(value) or (least is not None and value < least):
            raise refuse(place, value, "a number" + (f" from {least}" if least is not None else ""))

    return check


def whole(least: int = 0, most: int = 2**31 - 1) -> Check:
    """Return a check for a whole number in a range, both ends included."""

    def check(place: str, value: Json) -> None:
        if type(value) is not int or not least <= value <= most:
            raise refuse(place, value, f"a whole number from {least:,} to {most:,}")

    return check


def one_of(choices: Collection[str]) -> Check:
    """Return a check for one of some words."""

    def check(place: str, value: Json) -> None:
        if type(value) is not str or value not in choices:
            raise refuse(place, value, f"one of {', '.join(choices)}")

    return check


def off(reason: str) -> Check:
    """Return a check that an option is off: null, false or empty.

    Args:
        reason: why it must be, for the error.
    """

    def check(place: str, value: Json) -> None:
        if value not in (None, False, {}, []) or type(value) in (int, float):
            raise InputError(f"{place} is {preview(value)}: {reason}")

    return check


def only(*values: Json, reason: str) -> Check:
    """Return a check that an option has one of some values, of their types.

    Args:
        values: the values.
        reason: why it must have one, for the error.
    """

    def check(place: str, value: Json) -> None:
        if not any(type(value) is type(one) and value == one for one in values):
            raise InputError(f"{place} is {preview(value)}: {reason}")

    return check


def or_null(other: Check) -> Check:
    """Return a check for null or what another check accepts."""

    def check(place: str, value: Json) -> None:
        if value is not None:
            other(place, value)

    return check


def items(item: Check, *, least: int = 0, most: int = 1_000_000) -> Check:
    """Return a check for a list whose items another check accepts."""

    def check(place: str, value: Json) -> None:
        if type(value) is not list or not least <= len(value) <= most:
            raise refuse(place, value, f"a list of {least:,} to {most:,} items")
        for index, entry in enumerate(value):
            item(f"{place}[{index}]", entry)

    return check


def table(key: Check, entry: Check, *, most: int = 1000) -> Check:
    """Return a check for an object whose keys and values other checks accept."""

    def check(place: str, value: Json) -> None:
        if type(value) is not dict or len(value) > most:
            raise refuse(place, value, f"an object of at most {most:,} keys")
        for own, given in value.items():
            key(f"a key of {place}", own)
            entry(f"{place}.{own}", given)

    return check


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """Return a check for an object with exactly some keys.

    Args:
        required: the check of each key that must be there.
        optional: the check of each key that may be there.
    """
    checks = {**required, **(optional or {})}

    def check(place: str, value: Json) -> None:
        if type(value) is not dict:
            raise refuse(place, value, "an object")
        for key in required:
            if key not in value:
                raise InputError(f"{place} has no {key!r}")
        for key, entry in value.items():
            if key not in checks:
                raise InputError(
                    f"{place} has the unknown key {preview(key)}: it has {', '.join(checks)}"
                )
            checks[key](f"{place}.{key}", entry)

    return check


def plain(place: str, value: Json, depth: int = 0) -> None:
    """Check that a value is any JSON that a bank can hold: bounded, finite and visible."""
    if depth > MAX_DEPTH:
        raise InputError(f"{place} has values in values, more than {MAX_DEPTH} deep")
    if type(value) is str:
        text(lines=True)(place, value)
    elif type(value) is int:
        whole(-LARGEST, LARGEST)(place, value)
    elif type(value) is float:
        number()(place, value)
    elif type(value) is list:
        for index, entry in enumerate(value):
            plain(f"{place}[{index}]", entry, depth + 1)
    elif type(value) is dict:
        for key, entry in value.items():
            text(1000)(f"a key of {place}", key)
            plain(f"{place}.{key}", entry, depth + 1)
