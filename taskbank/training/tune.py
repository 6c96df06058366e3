"""Runs the trials of a plan and selects the best by validation score."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from taskbank.backbone.backbone import Backbone
from taskbank.bank.records import Parent, describe_parents
from taskbank.errors import InputError, TrainingError
from taskbank.methods.layers import select_layers
from taskbank.runtime.device import fastest_precision
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.plan import TaskPlan
from taskbank.training.sampler import Sampler, ShouldPrune
from taskbank.training.search import RETRIES, Setting, seeded_settings
from taskbank.training.trainer import release_weights
from taskbank.training.trial import Trial


class Trains(Protocol):
    """What a search needs of a trainer; `Trainer` and `CrossValidation` provide it."""

    @property
    def plan(self) -> TaskPlan:
        """The planned task."""

    def run(
        self, setting: Setting, should_prune: ShouldPrune | None = None, caption: str = ""
    ) -> Trial:
        """Return the trial of a setting; see `Trainer.run`."""

    def ensure_weights(self, trial: Trial) -> Trial:
        """Return a trial with its weights."""

    def checkpoints(self, trial: Trial) -> tuple[str, ...]:
        """Return the specifications of the trainings that a trial needs until it is stored."""


def tune(trainer: Trains, base: Setting) -> tuple[Trial, tuple[Trial, ...]]:
    """Run every trial of a plan; return the best, with its weights, and all trials in order.

    The best setting of the search is trained once more from each start of the plan. A start wins
    only if both its score and its loss on validation are better than those of the best trial
    without it: of a few dozen validation examples, the score alone is often better by luck.

    If every trial collapsed (was no better than constant predictions), the best setting is trained
    again from other seeds. Of an ensemble, each member that collapsed is.

    Args:
        trainer: the task's trainer.
        base: the setting that is trained, or that the search varies; see `fit_to_backbone`.

    Raises:
        TrainingError: if every trial diverged.
    """
    tuning = _Tuning(trainer)
    tuning.run_search(base)
    tuning.run_starts()
    for retry in range(RETRIES):
        best = tuning.best
        if best.status == "complete":
            break
        if best.status == "collapsed" and best.setting.training.ensemble > 1:
            break  # each member that collapsed was trained again by itself
        seed = max(trial.setting.training.seed for trial in tuning.trials) + 1
        tuning.run_trial(
            best.setting.with_seed(seed), f"again from seed {seed} ({retry + 1}/{RETRIES})"
        )
    if tuning.best.status == "diverged":
        raise TrainingError(tuning.best.problem)
    return trainer.ensure_weights(tuning.best), tuple(tuning.trials)


def best_trial(
    trials: Sequence[Trial], starts: Collection[tuple[Parent, ...]], metric: str
) -> Trial:
    """Return the best trial, where one from a start must be better in both score and loss.

    Of a few dozen validation examples, the score alone is often better by luck.

    Args:
        trials: finished trials of a task, of which one is from none of the starts.
        starts: the parents of each start.
        metric: the name of the task's metric.
    """
    # A stable order: of equally good ones, the first.
    ranked = sorted(trials, key=lambda trial: trial.rank(metric), reverse=True)
    best = next(trial for trial in ranked if trial.setting.parents not in starts)
    return next((trial for trial in ranked if _clearly_better(trial, best, metric)), best)


def _clearly_better(trial: Trial, other: Trial, metric: str) -> bool:
    (status, score, loss), (own_status, own_score, own_loss) = (
        one.rank(metric) for one in (trial, other)
    )
    return status > own_status or (status == own_status and score > own_score and loss > own_loss)


class _Tuning:
    """The trials run so far, of which only the best keeps its weights."""

    def __init__(self, trainer: Trains) -> None:
        self.trainer = trainer
        self.plan = trainer.plan
        self.trials: list[Trial] = []

    @property
    def best(self) -> Trial:
        starts = {start.parents for start in self.plan.starts}
        return best_trial(self.trials, starts, self.plan.metric)

    def run_search(self, base: Setting) -> None:
        """Run the trials of the plan's search: the whole grid, or the settings that are sampled."""
        search = self.plan.search
        if search.trials is None:
            chosen = seeded_settings(base, search)
            for number, setting in enumerate(chosen, start=1):
                self.run_trial(setting, f"{number}/{len(chosen)}" if len(chosen) > 1 else "")
            return
        sampler = Sampler(base, search, self.plan.metric)
        for number, (setting, should_prune, tell) in enumerate(sampler, start=1):
            trial = self.run_trial(setting, f"{number}/{search.trials}", should_prune)
            tell(None if trial.status == "pruned" else trial.score)
        best = self.best.setting
        first = base.training.seed
        for seed in range(first + 1, first + search.seeds):
            self.run_trial(best.with_seed(seed), f"seed {seed}")

    def run_starts(self) -> None:
        """Run the best setting so far from each start of the plan."""
        best = self.best.setting
        for start in self.plan.starts:
            setting = replace(best, parents=start.parents)
            self.run_trial(setting, f"from {describe_parents(start.parents)}")

    def run_trial(
        self, setting: Setting, caption: str, should_prune: ShouldPrune | None = None
    ) -> Trial:
        """Run a trial, and release the weights of trials that are no longer the best."""
        trial = self.trainer.run(setting, should_prune, caption)
        self.trials.append(trial)
        best = self.best
        for index, earlier in enumerate(self.trials):
            if earlier is not best and earlier.weights is not None:
                for specification in self.trainer.checkpoints(earlier):
                    Checkpoint(specification, resume=False).remove()
                self.trials[index] = release_weights(earlier)
        return trial


def fit_to_backbone(plan: TaskPlan, backbone: Backbone) -> Setting:
    """Return the base setting of a plan, with maximum length and precision set for a backbone.

    Args:
        plan: the planned task.
        backbone: the backbone to train on.

    Raises:
        InputError: if the requested inputs are longer than the backbone's maximum, or a requested
            layer does not exist, or a start is of another backbone.
    """
    identity, spec, values = backbone.identity, plan.base.training, plan.search.values
    requested = "max_length" in plan.spec.training or "max_length" in values
    lengths = values.get("max_length", (spec.max_length,)) if requested else ()
    for length in lengths:
        if length > identity.max_length:
            raise InputError(
                f"max_length is {length}: the backbone {identity.spec!r} takes at most "
                f"{identity.max_length} tokens"
            )
    for start in plan.starts:
        start.check_backbone(identity)
    options = plan.base.method.options
    for layers in values.get("layers", (options["layers"],)) if "layers" in options else ():
        select_layers(str(layers), identity.layers)
    length = min(spec.max_length, identity.max_length)
    precision = spec.precision or fastest_precision(str(backbone.device))
    return replace(plan.base, training=replace(spec, max_length=length, precision=precision))
