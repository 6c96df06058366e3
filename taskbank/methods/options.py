"""Checks a method's options: names, types and ranges, in one table a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.methods.layers import check_layers


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        default: its value where none is given.
        check: returns the value as it is stored, or raises InputError given its name and value.
    """

    default: Json
    check: Callable[[str, Json], Json]


def complete(
    method: str, options: Mapping[str, Option], given: Mapping[str, Json]
) -> dict[str, Json]:
    """Return every option of a method with its checked value.

    Args:
        method: its name, for errors.
        options: what it has.
        given: what differs from the defaults.

    Raises:
        InputError: if one is unknown or out of range.
    """
    unknown = sorted(set(given) - set(options))
    if unknown:
        raise InputError(
            f"method {method} has no option {unknown[0]!r}: it has {', '.join(options)}"
        )
    return {
        name: option.check(name, given.get(name, option.default))
        for name, option in options.items()
    }


def whole(least: int, most: int, hint: str = "") -> Callable[[str, Json], Json]:
    """Return a check for whole numbers from `least` to `most`."""

    def check(name: str, value: Json) -> Json:
        if type(value) is not int or not least <= value <= most:
            raise InputError(
                f"{name} is {value!r}: it must be a whole number from {least} to {most}{hint}"
            )
        return value

    return check


def number(above: float, most: float, *, least: bool = False) -> Callable[[str, Json], Json]:
    """Return a check for numbers above a bound (or from it, with `least`) to `most`."""

    def check(name: str, value: Json) -> Json:
        fits = type(value) in (int, float) and (above < value <= most or (least and value == above))
        if not fits:
            raise InputError(
                f"{name} is {value!r}: it must be a number {'from' if least else 'above'} {above}, "
                f"at most {most}"
            )
        return float(value)

    return check


def one_of(choices: Sequence[str]) -> Callable[[str, Json], Json]:
    """Return a check for one of some words."""

    def check(name: str, value: Json) -> Json:
        if value not in choices:
            raise InputError(f"{name} is {value!r}: use {', '.join(choices)}")
        return value

    return check


def some_of(choices: Sequence[str]) -> Callable[[str, Json], Json]:
    """Return a check for a comma-separated list of some words, each once."""

    def check(name: str, value: Json) -> Json:
        words = value.split(",") if isinstance(value, str) else []
        if not words or not set(words) <= set(choices) or len(set(words)) < len(words):
            raise InputError(
                f"{name} is {value!r}: write some of {', '.join(choices)}, separated by commas"
            )
        return ",".join(word for word in choices if word in words)

    return check


def layers(default: str = "all") -> Option:
    """Return the option that says which layers are adapted."""
    return Option(default, check_layers)
