"""The options of methods: their defaults, types and ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.methods.layers import check_layers
from taskbank.specs import SHORTCUTS


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        default: the value of an omitted option.
        check: takes the option's name and a value, and returns the value in its stored form, or
            raises `InputError`.
        summary: a short description.
        later: whether earlier versions did not have the option. Its default, which is what they
            did, is then left out of complete options, so that a method keeps its digest.
    """

    default: Json
    check: Callable[[str, Json], Json]
    summary: str
    later: bool = False


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
    """Return a check for numbers above a bound (with `least`, including it) up to `most`."""

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
    """Return a check for exactly one of some words."""

    def check(name: str, value: Json) -> Json:
        if value not in choices:
            raise InputError(f"{name} is {value!r}: use {', '.join(choices)}")
        return value

    return check


def some_of(choices: Sequence[str]) -> Callable[[str, Json], Json]:
    """Return a check for a comma-separated list of some words without repeats."""

    def check(name: str, value: Json) -> Json:
        words = value.split(",") if isinstance(value, str) else []
        if not words or not set(words) <= set(choices) or len(set(words)) < len(words):
            raise InputError(
                f"{name} is {value!r}: write some of {', '.join(choices)}, separated by commas"
            )
        return ",".join(word for word in choices if word in words)

    return check


def layers(default: str = "all") -> Option:
    """Return the option that selects the adapted layers."""
    return Option(default, check_layers, SHORTCUTS["layers"])
