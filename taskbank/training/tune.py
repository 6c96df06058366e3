"""Runs the trials of a plan and returns the best by validation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from taskbank.backbone.backbone import Backbone
from taskbank.errors import InputError, TrainingError
from taskbank.methods.layers import select_layers
from taskbank.runtime.device import usual_precision
from taskbank.training.plan import TaskPlan
from taskbank.training.sampler import GiveUp, Sampler
from taskbank.training.search import Setting, settings
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trained, Trial

RETRIES = 2  # further seeds for a setting whose every run collapsed


@dataclass(frozen=True)
class Tuned:
    """What came of the trials.

    Attributes:
        best: the best trial.
        trained: what its training left.
        trials: every trial, in the order they were run.
    """

    best: Trial
    trained: Trained
    trials: tuple[Trial, ...]


def tune(trainer: Trainer, base: Setting) -> Tuned:
    """Run every trial of a plan, record each as it ends, and return the best.

    One that collapsed (no better than predictions that look at no input) is tried again from
    other seeds if nothing better came of the rest.

    Args:
        trainer: of the task.
        base: the setting that is trained, or that the search varies; see `fitted`.

    Raises:
        TrainingError: if no trial gave a loss that is a number.
    """
    run = _Tuning(trainer)
    run.planned(base)
    for seed in range(RETRIES):
        best = run.best
        if best.status == "complete":
            break
        further = max(trial.setting.training.seed for trial in run.trials) + 1
        run.take(best.setting.seeded(further), f"again from seed {further} ({seed + 1}/{RETRIES})")
    if run.best.status == "diverged":
        raise TrainingError(run.best.problem)
    return Tuned(run.best, trainer.trained(run.best), tuple(run.trials))


class _Tuning:
    """Trials in progress: the best so far keeps its weights, the others do not."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.plan = trainer.plan
        self.trials: list[Trial] = []

    @property
    def best(self) -> Trial:
        return max(self.trials, key=lambda trial: trial.rank(self.plan.metric))

    def planned(self, base: Setting) -> None:
        """Run what the plan's search says: the whole grid, or what a sampler picks of it."""
        search = self.plan.search
        seeds = range(base.training.seed, base.training.seed + search.seeds)
        if search.trials is None:
            chosen = [one.seeded(seed) for one in settings(base, search) for seed in seeds]
            for number, setting in enumerate(chosen, start=1):
                self.take(setting, f"{number}/{len(chosen)}" if len(chosen) > 1 else "")
            return
        sampler = Sampler(base, search, self.plan.metric)
        for number, (setting, give_up, tell) in enumerate(sampler, start=1):
            trial = self.take(setting, f"{number}/{search.trials}", give_up)
            tell(None if trial.status == "pruned" else trial.score)
        best = self.best.setting
        for seed in seeds[1:]:
            self.take(best.seeded(seed), f"seed {seed}")

    def take(self, setting: Setting, about: str, give_up: GiveUp | None = None) -> Trial:
        """Run a trial, record it, and let go of what is not needed any more."""
        trial = self.trainer.run(setting, give_up, about)
        self.trainer.record(trial)
        self.trials.append(trial)
        best = self.best
        for place, one in enumerate(self.trials):
            if one is not best and one.trained is not None:
                self.trainer.forget(one)
                self.trials[place] = replace(one, trained=None)
        return trial


def fitted(plan: TaskPlan, backbone: Backbone) -> Setting:
    """Return the setting of a plan with inputs as long as a backbone takes, and its precision.

    Raises:
        InputError: if longer ones were asked for, or layers that the backbone does not have.
    """
    identity, spec, values = backbone.identity, plan.base.training, plan.search.values
    lengths = values.get("max_length", (spec.max_length,)) if plan.length_given else ()
    for length in lengths:
        if length > identity.max_length:
            raise InputError(
                f"max_length is {length}: the backbone {identity.spec!r} takes at most "
                f"{identity.max_length} tokens"
            )
    options = plan.base.method.options
    for layers in values.get("layers", (options["layers"],)) if "layers" in options else ():
        select_layers(str(layers), identity.layers)
    length = min(spec.max_length, identity.max_length)
    precision = spec.precision or usual_precision(str(backbone.device))
    return replace(plan.base, training=replace(spec, max_length=length, precision=precision))
