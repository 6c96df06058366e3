"""A task's definition, its labels and settings, and checks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from taskbank.data.fields import preview
from taskbank.digests import Json
from taskbank.errors import DataError, InputError


@dataclass(frozen=True)
class Definition:
    """The interpretation of a task's outputs, fixed by its training data.

    Attributes:
        labels: names of the classes, in the order of the outputs; empty for a kind without classes.
        settings: further parameters of the kind, such as thresholds.
    """

    labels: tuple[str, ...] = ()
    settings: Mapping[str, Json] = field(default_factory=dict)


def check_requested(kind: str, requested: Mapping[str, Json], known: Sequence[str] = ()) -> None:
    """Raise if a requested setting is unknown to the kind.

    Raises:
        InputError: naming the setting.
    """
    for name in requested:
        if name not in known:
            raise InputError(f"a task of kind {kind!r} has no setting {name!r}: leave it out")


def check_settings(
    kind: str, definition: Definition, checks: Mapping[str, Callable[[Json], bool]]
) -> None:
    """Raise if a task's settings, which may come from an export, are invalid for its kind.

    Args:
        kind: the kind's name.
        definition: the task's definition.
        checks: a validity check per setting; it is given None for a missing setting.

    Raises:
        DataError: naming the setting.
    """
    for name in definition.settings:
        if name not in checks:
            raise DataError(
                f"the setting {name!r} is unknown to tasks of kind {kind!r}: they have "
                f"{', '.join(checks) or 'no settings'}"
            )
    for name, is_valid in checks.items():
        value = definition.settings.get(name)
        if not is_valid(value):
            raise DataError(
                f"the setting {name!r} is {preview(value)}, which is invalid for a task of kind "
                f"{kind!r}"
            )
