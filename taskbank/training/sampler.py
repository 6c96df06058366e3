"""Samples the settings of a search with Optuna (extra `search`).

The sampler learns from the results of earlier trials, and prunes trials that lag behind others at
the same point of their training.
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

REPEATS = 10  # attempts to sample a setting that was not sampled before
ShouldPrune = Callable[["Epoch"], bool]
Tell = Callable[[float | None], None]


def check_sampler() -> None:
    """Raise unless Optuna is installed.

    Raises:
        MissingExtraError: if Optuna is not installed; the message names the extra.
    """
    _optuna()


class Sampler:
    """Samples settings, learning from the results of earlier ones.

    Args:
        base: the setting that the search varies.
        search: the values to sample from.
        metric: the name of the metric that trials are compared by.
    """

    def __init__(self, base: Setting, search: Search, metric: str) -> None:
        optuna = _optuna()
        self.base, self.search, self.metric = base, search, metric
        with _warnings_only(optuna):
            self.study = optuna.create_study(
                direction="maximize",
                sampler=optuna.samplers.TPESampler(seed=base.training.seed),
                # The first third of a training predicts little: the learning rate was still rising.
                pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=33),
            )

    def __iter__(self) -> Iterator[tuple[Setting, ShouldPrune, Tell]]:
        """Yield distinct settings, each with two functions.

        The first is called after every epoch and returns whether to prune the trial. The second
        takes the trial's score, or None if the trial was pruned.
        """
        combinations = math.prod(len(values) for values in self.search.values.values())
        count = min(self.search.trials or 0, combinations)
        results: dict[tuple[Json, ...], float | None] = {}
        while len(results) < count:
            trial, chosen = self._ask(results)
            setting = setting_of(self.base, dict(zip(self.search.values, chosen, strict=True)))

            def should_prune(epoch: Epoch, trial: Any = trial, setting: Setting = setting) -> bool:
                # Trainings of different lengths are compared at the same share of their epochs.
                step = round(100 * epoch.number / setting.training.epochs)
                trial.report(orient(self.metric, epoch.score), step)
                return bool(trial.should_prune())

            def tell(score: float | None, trial: Any = trial, chosen: Any = chosen) -> None:
                results[chosen] = None if score is None else orient(self.metric, score)
                self._tell(trial, results[chosen])

            results[chosen] = None
            yield setting, should_prune, tell

    def _ask(
        self, results: Mapping[tuple[Json, ...], float | None]
    ) -> tuple[Any, tuple[Json, ...]]:
        """Return a trial with values that were not sampled before, and these values."""
        for _ in range(REPEATS):
            trial, chosen = self._suggest()
            if chosen not in results:
                return trial, chosen
            self._tell(trial, results[chosen])
        combinations = product(*self.search.values.values())
        remaining = next(values for values in combinations if values not in results)
        self.study.enqueue_trial(dict(zip(self.search.values, remaining, strict=True)))
        return self._suggest()

    def _suggest(self) -> tuple[Any, tuple[Json, ...]]:
        trial = self.study.ask()
        return trial, tuple(
            trial.suggest_categorical(name, list(values))
            for name, values in self.search.values.items()
        )

    def _tell(self, trial: Any, result: float | None) -> None:
        optuna = _optuna()
        with _warnings_only(optuna):
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
def _warnings_only(optuna: Any) -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
