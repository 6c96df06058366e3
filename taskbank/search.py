"""Which trials a search is made of: every setting of a grid, or some that a sampler picks.

A setting is a value for each hyperparameter that is searched; it is tried from one seed or
several, as Houlsby et al. 2019 (section 3.2) do because some of their runs are unstable. The
sampler is Optuna's (extra `search`): it picks settings by what came of the ones before, gives
up a trial that is behind the others after as many epochs, and leaves the further seeds to the
best setting.
"""

from __future__ import annotations

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


def settings(base: Setting, search: Search) -> list[Setting]:
    """Return every setting of a search, in the order of its values.

    Args:
        base: what is the same for all.
        search: what is tried.

    Raises:
        InputError: if a hyperparameter is unknown, or one of its values out of range.
    """
    return [
        setting_of(base, dict(zip(search.values, values, strict=True)))
        for values in product(*search.values.values())
    ]


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
                pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
            )

    def __iter__(self) -> Iterator[tuple[Setting, GiveUp, Tell]]:
        """Give settings, each with what decides to give it up and what takes its result.

        The result is a score, or none for a trial that was given up.
        """
        optuna = _optuna()
        for _ in range(self.search.trials or 0):
            trial = self.study.ask()
            chosen = {
                name: trial.suggest_categorical(name, list(values))
                for name, values in self.search.values.items()
            }

            def give_up(epoch: Epoch, trial: Any = trial) -> bool:
                trial.report(better(self.metric, epoch.score), epoch.number)
                return bool(trial.should_prune())

            def tell(score: float | None, trial: Any = trial) -> None:
                with _silent(optuna):
                    if score is None:
                        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    else:
                        self.study.tell(trial, better(self.metric, score))

            yield setting_of(self.base, chosen), give_up, tell


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
