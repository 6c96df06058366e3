"""Runs the trials of a plan and finds the best of them, by validation."""

from __future__ import annotations

from dataclasses import replace

from taskbank.backbone.backbone import Backbone
from taskbank.errors import InputError, TrainingError
from taskbank.methods.layers import select_layers
from taskbank.runtime.device import fastest_precision
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.plan import TaskPlan
from taskbank.training.sampler import GiveUp, Sampler
from taskbank.training.search import Setting, settings
from taskbank.training.trainer import Trainer, released
from taskbank.training.trial import Trial

RETRIES = 2  # further seeds for a setting whose every run collapsed


def tune(trainer: Trainer, base: Setting) -> tuple[Trial, tuple[Trial, ...]]:
    """Run every trial of a plan; return the best, with its weights, and all of them in order.

    If every trial collapsed (was no better than constant predictions), the best is tried again
    from other seeds.

    Args:
        trainer: of the task.
        base: the setting that is trained, or that the search varies; see `fitted`.

    Raises:
        TrainingError: if every trial diverged.
    """
    run = _Tuning(trainer)
    run.planned(base)
    for retry in range(RETRIES):
        best = run.best
        if best.status == "complete":
            break
        further = max(trial.setting.training.seed for trial in run.trials) + 1
        run.take(best.setting.seeded(further), f"again from seed {further} ({retry + 1}/{RETRIES})")
    if run.best.status == "diverged":
        raise TrainingError(run.best.problem)
    return trainer.with_weights(run.best), tuple(run.trials)


class _Tuning:
    """Trials in progress: only the best so far keeps its weights."""

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
        """Run a trial, and release the weights of those that are no longer the best."""
        trial = self.trainer.run(setting, give_up, about)
        self.trials.append(trial)
        best = self.best
        for place, one in enumerate(self.trials):
            if one is not best and one.weights is not None:
                Checkpoint(one.specification, resume=False).remove()
                self.trials[place] = released(one)
        return trial


def fitted(plan: TaskPlan, backbone: Backbone) -> Setting:
    """Return the base setting of a plan, fitted to a backbone: its largest length and precision.

    Raises:
        InputError: if longer inputs were requested, or layers that the backbone does not have.
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
    options = plan.base.method.options
    for layers in values.get("layers", (options["layers"],)) if "layers" in options else ():
        select_layers(str(layers), identity.layers)
    length = min(spec.max_length, identity.max_length)
    precision = spec.precision or fastest_precision(str(backbone.device))
    return replace(plan.base, training=replace(spec, max_length=length, precision=precision))
