"""The environments of two verifications beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskbank.digests import Json, canonical_json


@dataclass(frozen=True)
class Condition:
    """A part of the environment.

    Attributes:
        name: its name.
        value: its value.
        before: its value in the verification before; None without one.
        changed: whether the two differ.
    """

    name: str
    value: str
    before: str | None
    changed: bool


def conditions(
    values: Mapping[str, Json], before: Mapping[str, Json] | None
) -> tuple[Condition, ...]:
    """Return the parts of an environment beside those of an earlier one.

    Args:
        values: the environment, by the names of its parts.
        before: the earlier one; None without one.
    """
    if before is None:
        return tuple(Condition(name, _text(value), None, False) for name, value in values.items())
    names = [*values, *(name for name in before if name not in values)]
    pairs = [(name, _text(values.get(name)), _text(before.get(name))) for name in names]
    return tuple(Condition(name, value, other, value != other) for name, value, other in pairs)


def _text(value: Json) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else canonical_json(value)
