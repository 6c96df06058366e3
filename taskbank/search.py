"""Which trials a search is made of: every setting of a grid, or some that a sampler picks.

A setting is a value for each hyperparameter that is searched; it is tried from one seed or
several, as Houlsby et al. 2019 (section 3.2) do because some of their runs are unstable. The
sampler is Optuna's (extra `search`): it picks settings by what came of the ones before, gives
up a trial that is behind others as far through theirs, and leaves the further seeds to the
best setting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from taskbank import plugins
from taskbank.errors import InputError, MissingExtraError
from taskbank.kinds.kind import better
from taskbank.specs import Json, MethodSpec, TrainingSpec

if TYPE_CHECKING:
    from taskbank.train import Epoch

REPEATS = 10  # times that a sampler may pick what it has picked before

GiveUp = Callable[["Epoch"], bool]
Tell = Callable[[float | None], None]


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
        MethodSpec(base.method.name, method.options(options | own)),
        replace(base.training, **others),
    )


def check_sampler() -> None:
    """Raise unless there is a sampler.

    Raises:
        MissingExtraError: naming the extra.
    """
    _optuna()


class Sampler:
    """Picks settings by what came of those before.

    Args:
        base: what is the same for all settings.
        search: what is tried.
        metric: what they are compared by.
    """

    def __init__(self, base: Setting, search: Search, metric: str) -> None:
        optuna = _optuna()
        self.base, self.search, self.metric = base, search, metric
        with _silent(optuna):
            self.study = optuna.create_study(
                direction="maximize",
                sampler=optuna.samplers.TPESampler(seed=base.training.seed),
                # The first third of a training says little: the rate has just been warmed up.
                pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=33),
            )

    def __iter__(self) -> Iterator[tuple[Setting, GiveUp, Tell]]:
        """Give settings, none twice, each with what decides to give it up and takes its result.

        The result is a score, or none for a trial that was given up.
        """
        there = math.prod(len(values) for values in self.search.values.values())
        wanted = min(self.search.trials or 0, there)
        results: dict[tuple[Json, ...], float | None] = {}
        while len(results) < wanted:
            trial, chosen = self._ask(results)
            setting = setting_of(self.base, dict(zip(self.search.values, chosen, strict=True)))

            def give_up(epoch: Epoch, trial: Any = trial, setting: Setting = setting) -> bool:
                # Long and short trainings are compared where both are equally far.
                step = round(100 * epoch.number / setting.training.epochs)
                trial.report(better(self.metric, epoch.score), step)
                return bool(trial.should_prune())

            def tell(score: float | None, trial: Any = trial, chosen: Any = chosen) -> None:
                results[chosen] = None if score is None else better(self.metric, score)
                self._tell(trial, results[chosen])

            results[chosen] = None
            yield setting, give_up, tell

    def _ask(
        self, results: Mapping[tuple[Json, ...], float | None]
    ) -> tuple[Any, tuple[Json, ...]]:
        """Return a trial of a setting that was not tried yet, and its values."""
        for _ in range(REPEATS):
            trial, chosen = self._suggested()
            if chosen not in results:
                return trial, chosen
            self._tell(trial, results[chosen])
        left = next(one for one in product(*self.search.values.values()) if one not in results)
        self.study.enqueue_trial(dict(zip(self.search.values, left, strict=True)))
        return self._suggested()

    def _suggested(self) -> tuple[Any, tuple[Json, ...]]:
        trial = self.study.ask()
        values = self.search.values.items()
        return trial, tuple(trial.suggest_categorical(name, list(own)) for name, own in values)

    def _tell(self, trial: Any, result: float | None) -> None:
        optuna = _optuna()
        with _silent(optuna):
            if result is None:
                self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                self.study.tell(trial, result)


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--trials needs optuna: install it with pip install 'taskbank[search]', or leave "
            "--trials out to try every setting"
        ) from None
    return optuna


@contextmanager
def _silent(optuna: Any) -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
