"""Trains a planned task on a backbone and returns a result that can be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.records import MetricRecord
from taskbank.kinds.definition import Definition
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.cross_validation import CrossValidation
from taskbank.training.loop import Epoch
from taskbank.training.plan import TaskPlan
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trial
from taskbank.training.tune import fit_to_backbone, tune


@dataclass(frozen=True)
class Result:
    """A trained task.

    Attributes:
        trial: the best trial by validation.
        trials: every trial, in order of execution.
        checkpoints: specifications of the trainings that may have a checkpoint.
        weights: the best trial's weights, by stored name.
        predictions: the best trial's predictions, by evaluated split.
        metrics: every metric on every evaluated split, and over the folds if there are any.
    """

    trial: Trial
    trials: tuple[Trial, ...]
    checkpoints: tuple[str, ...]
    weights: Mapping[str, torch.Tensor]
    predictions: Mapping[str, np.ndarray]
    metrics: tuple[MetricRecord, ...]

    @property
    def definition(self) -> Definition:
        """The task's definition, with the values tuned on validation."""
        return self.trial.definition

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """Every epoch of the best trial."""
        return self.trial.epochs

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return self.trial.epochs[self.trial.best_epoch - 1]

    @property
    def seconds(self) -> float:
        """The duration of the best trial, in seconds."""
        return self.trial.seconds

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints of all trials, once the result is stored."""
        for specification in self.checkpoints:
            Checkpoint(specification, resume=False).remove()


def make_trainer(plan: TaskPlan, backbone: Backbone, **given: Any) -> Trainer | CrossValidation:
    """Return what trains the trials of a planned task: once, or once per fold.

    Args:
        plan: the planned task.
        backbone: the frozen backbone, which is not changed.
        given: further arguments of both.
    """
    trainer_class = CrossValidation if plan.data.folds else Trainer
    return trainer_class(backbone, plan, **given)


def train_task(
    plan: TaskPlan,
    backbone: Backbone,
    *,
    known: Iterable[Trial] = (),
    record: Callable[[Trial], None] = lambda _trial: None,
    resume: bool = False,
    progress: bool = False,
) -> Result:
    """Train a planned task on a backbone, and score its best trial on every split.

    Args:
        plan: the planned task.
        backbone: the frozen backbone, which is not changed.
        known: trials that an earlier run recorded; they are not trained again.
        record: function that is called with every new trial as soon as it has ended.
        resume: whether to use the checkpoints of an earlier run.
        progress: whether to show progress bars if stderr is a terminal.

    Raises:
        InputError: if the requested inputs are longer than the backbone's maximum, or a requested
            layer does not exist.
        TrainingError: if every trial diverged.
        UnstableError: if outputs on this machine depend on the batch, before or after training.
    """
    base = fit_to_backbone(plan, backbone)
    trainer = make_trainer(
        plan, backbone, known=known, record=record, resume=resume, progress=progress
    )
    trainer.check_machine(base)
    best, trials = tune(trainer, base)
    found = trainer.evaluate(best)
    # Only now the test split is tokenised, too.
    truncated = {**best.truncated, **trainer.truncated(best)}
    probe = trainer.linear_probe(best)
    best = replace(best, chance=found.chance, truncated=truncated, linear_probe=probe)
    assert best.weights is not None  # noqa: S101 - tune returns the best trial with its weights
    # Resumed trials may have checkpoints, too.
    checkpoints = tuple(one for trial in trials for one in trainer.checkpoints(trial))
    return Result(best, trials, checkpoints, best.weights, found.predictions, found.metrics)
