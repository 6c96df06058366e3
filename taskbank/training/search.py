"""The settings that a search tries: every combination of a grid.

A setting assigns a value to each hyperparameter of the search. It is trained from one or several
seeds, as in Houlsby et al. 2019 (section 3.2), because some runs are unstable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.specs import MethodSpec, TrainingSpec

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Setting:
    """How one trial is trained.

    Attributes:
        method: with all its options.
        training: every hyperparameter.
    """

    method: MethodSpec
    training: TrainingSpec

    def seeded(self, seed: int) -> Setting:
        """Return the same setting with another seed."""
        return replace(self, training=replace(self.training, seed=seed))


@dataclass(frozen=True)
class Search:
    """What is tried.

    Attributes:
        values: of each hyperparameter that is searched; none means one setting.
        seeds: how many seeds a setting is tried from, the given one and those after it.
        trials: how many settings a sampler picks; none means all of them.
    """

    values: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    seeds: int = 1
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"seeds is {self.seeds}: it must be at least 1")
        if self.trials is not None and (self.trials < 1 or not self.values):
            raise InputError(
                f"trials is {self.trials}: it says how many settings of a search are tried, at "
                "least 1, and needs a --search"
            )
        if "seed" in self.values:
            raise InputError("seed is not searched: say how many there are with --seeds N")
        for name, values in self.values.items():
            if not values or len(set(map(str, values))) < len(values):
                raise InputError(f"search of {name} is {list(values)}: give each value once")

    def to_json(self) -> dict[str, Json]:
        """Return the search as plain data."""
        values = {name: list(values) for name, values in self.values.items()}
        return {"values": values, "seeds": self.seeds, "trials": self.trials}


def settings(base: Setting, search: Search) -> Iterator[Setting]:
    """Give every setting of a search, in the order of its values.

    Args:
        base: what is the same for all.
        search: what is tried.
    """
    for values in product(*search.values.values()):
        yield setting_of(base, dict(zip(search.values, values, strict=True)))


def check_values(base: Setting, search: Search) -> None:
    """Raise unless every value of a search is usable.

    Raises:
        InputError: if a hyperparameter is unknown, or one of its values out of range.
    """
    for name, values in search.values.items():
        for value in values:
            setting_of(base, {name: value})


def setting_of(base: Setting, chosen: Mapping[str, Json]) -> Setting:
    """Return a setting with some hyperparameters set.

    Args:
        base: what the others are.
        chosen: values of training hyperparameters and of the method's options.

    Raises:
        InputError: if one is unknown, or its value out of range.
    """
    fields = TrainingSpec.__dataclass_fields__
    options = dict(base.method.options)
    unknown = [name for name in chosen if name not in fields and name not in options]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} cannot be searched: method {base.method.name} has "
            f"{', '.join(options)}, and training has {', '.join(fields)}"
        )
    own = {name: value for name, value in chosen.items() if name in options}
    others = {name: value for name, value in chosen.items() if name not in options}
    method = plugins.load("methods", base.method.name)
    return Setting(
        MethodSpec(base.method.name, method.complete(options | own)),
        replace(base.training, **others),
    )
