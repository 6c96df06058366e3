"""The settings of a search: every combination of the values in a grid.

A setting assigns a value to each hyperparameter of the search. It is trained from one or several
seeds, as in Houlsby et al. 2019 (section 3.2), because some runs are unstable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from taskbank import plugins
from taskbank.bank.records import Parent
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.specs import MethodSpec, TrainingSpec

RETRIES = 2  # further seeds for a training that collapsed
RETRY_STRIDE = 2**30  # between the seeds of a member of an ensemble that collapsed


@dataclass(frozen=True)
class Setting:
    """The method and hyperparameters of one trial.

    Attributes:
        method: the method, with all its options.
        training: every hyperparameter.
        parents: the stored versions whose adapters it starts from; none if it starts untrained.
    """

    method: MethodSpec
    training: TrainingSpec
    parents: tuple[Parent, ...] = ()

    def with_seed(self, seed: int) -> Setting:
        """Return the same setting with another seed."""
        return replace(self, training=replace(self.training, seed=seed))

    @property
    def members(self) -> tuple[Setting, ...]:
        """The settings of the trainings whose predictions are combined; of one, the setting itself.

        Their seeds follow each other, and settings of different seeds have none in common.
        """
        count = self.training.ensemble
        if count == 1:
            return (self,)
        first = self.training.seed * count
        return tuple(
            replace(self, training=replace(self.training, ensemble=1, seed=(first + n) % 2**32))
            for n in range(count)
        )

    @property
    def retries(self) -> Iterator[Setting]:
        """The settings to train instead of this one, one after the other, while they collapse.

        Their seeds are far from all others, so that no two members of ensembles share one.
        """
        for number in range(1, RETRIES + 1):
            yield self.with_seed((self.training.seed + number * RETRY_STRIDE) % 2**32)


@dataclass(frozen=True)
class Search:
    """The settings and seeds to try.

    Attributes:
        values: the values to try, by hyperparameter; if empty, one setting is tried.
        seeds: number of consecutive seeds that each setting is trained from.
        trials: number of settings to sample; None means every setting.
    """

    values: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    seeds: int = 1
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"seeds is {self.seeds}: it must be at least 1")
        if self.trials is not None and (self.trials < 1 or not self.values):
            raise InputError(
                f"trials is {self.trials}: it must be at least 1, and it needs a --search whose "
                "settings it samples"
            )
        if "seed" in self.values:
            raise InputError("seed cannot be searched: set the number of seeds with --seeds N")
        for name, values in self.values.items():
            if not values or len(set(map(str, values))) < len(values):
                raise InputError(
                    f"search of {name} is {list(values)}: give at least one value, and each "
                    "value once"
                )

    def to_json(self) -> dict[str, Json]:
        """Return the search as plain data."""
        values = {name: list(values) for name, values in self.values.items()}
        return {"values": values, "seeds": self.seeds, "trials": self.trials}


def settings(base: Setting, search: Search) -> Iterator[Setting]:
    """Yield every setting of a search, in the order of its values.

    Args:
        base: the setting that the search varies.
        search: the values to try.
    """
    for values in product(*search.values.values()):
        yield setting_of(base, dict(zip(search.values, values, strict=True)))


def seeded_settings(base: Setting, search: Search) -> list[Setting]:
    """Return every setting of a search from each of its seeds, in the order of trials.

    Args:
        base: the setting that the search varies.
        search: the values and the seeds to try.
    """
    seeds = range(base.training.seed, base.training.seed + search.seeds)
    return [setting.with_seed(seed) for setting in settings(base, search) for seed in seeds]


def check_values(base: Setting, search: Search) -> None:
    """Raise unless every value of a search is valid.

    Args:
        base: the setting that the search varies.
        search: the values to try.

    Raises:
        InputError: if a hyperparameter is unknown, or one of its values is out of range.
    """
    for name, values in search.values.items():
        for value in values:
            setting_of(base, {name: value})


def setting_of(base: Setting, chosen: Mapping[str, Json]) -> Setting:
    """Return a setting with some hyperparameters replaced.

    Args:
        base: the setting that provides the other hyperparameters.
        chosen: new values of training hyperparameters and of the method's options, by name.

    Raises:
        InputError: if a hyperparameter is unknown, or its value is out of range.
    """
    fields = TrainingSpec.__dataclass_fields__
    options = dict(base.method.options)
    unknown = [name for name in chosen if name not in fields and name not in options]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} cannot be searched: method {base.method.name} has "
            f"{', '.join(options)}, and training has {', '.join(fields)}"
        )
    method_values = {name: value for name, value in chosen.items() if name in options}
    training_values = {name: value for name, value in chosen.items() if name not in options}
    method = plugins.load("methods", base.method.name)
    return replace(
        base,
        method=MethodSpec(base.method.name, method.complete(options | method_values)),
        training=replace(base.training, **training_values),
    )
