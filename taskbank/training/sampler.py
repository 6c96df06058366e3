"""Picks settings of a search with Optuna (extra `search`).

The sampler uses the results of earlier trials, and prunes trials that lag behind others at the
same point of their training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

from taskbank.digests import Json
from taskbank.errors import MissingExtraError
from taskbank.kinds.metrics import orient
from taskbank.training.search import setting_of

if TYPE_CHECKING:
    from taskbank.training.loop import Epoch
    from taskbank.training.search import Search, Setting

REPEATS = 10  # times that a sampler may pick what it has picked before
GiveUp = Callable[["Epoch"], bool]
Tell = Callable[[float | None], None]


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
                trial.report(orient(self.metric, epoch.score), step)
                return bool(trial.should_prune())

            def tell(score: float | None, trial: Any = trial, chosen: Any = chosen) -> None:
                results[chosen] = None if score is None else orient(self.metric, score)
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
