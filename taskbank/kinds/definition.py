"""How a task's outputs are read: its labels and settings, and checks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.data.fields import shown
from taskbank.digests import Json
from taskbank.errors import DataError, InputError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Definition:
    """What a task's training data has fixed: how its outputs are read.

    Attributes:
        labels: names of the classes, in the order of the outputs; none where there are none.
        settings: what else the kind needs to know, such as thresholds.
    """

    labels: tuple[str, ...] = ()
    settings: Mapping[str, Json] = field(default_factory=dict)


def check_requested(kind: str, requested: Mapping[str, Json], known: Sequence[str] = ()) -> None:
    """Raise if a setting was asked for that a kind does not have.

    Raises:
        InputError: naming it.
    """
    for name in requested:
        if name not in known:
            raise InputError(f"a task of kind {kind!r} has no setting {name!r}: leave it out")


def check_settings(
    kind: str, definition: Definition, fits: Mapping[str, Callable[[Json], bool]]
) -> None:
    """Raise if a task's settings, which may come from an export, are none that its kind makes.

    Args:
        kind: the kind's word.
        definition: of the task.
        fits: of each setting that there is, whether it can have a value; none where it is missing.

    Raises:
        DataError: naming the setting.
    """
    for name in definition.settings:
        if name not in fits:
            raise DataError(
                f"the setting {name!r} is unknown to tasks of kind {kind!r}: they have "
                f"{', '.join(fits) or 'no settings'}"
            )
    for name, fit in fits.items():
        value = definition.settings.get(name)
        if not fit(value):
            raise DataError(
                f"the setting {name!r} is {shown(value)}, which a task of kind {kind!r} cannot have"
            )
