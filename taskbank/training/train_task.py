"""Trains a planned task: from a plan and a backbone to a result that can be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.records import MetricRecord
from taskbank.kinds.definition import Definition
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.loop import Epoch
from taskbank.training.plan import TaskPlan
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trial
from taskbank.training.tune import fitted, tune


@dataclass(frozen=True)
class Result:
    """A trained task.

    Attributes:
        trial: the best trial by validation.
        trials: every trial, in the order they were run.
        weights: of the best trial, by stored name.
        predictions: of every evaluated split, by its name.
        metrics: every metric on every evaluated split.
    """

    trial: Trial
    trials: tuple[Trial, ...]
    weights: Mapping[str, torch.Tensor]
    predictions: Mapping[str, np.ndarray]
    metrics: tuple[MetricRecord, ...]

    @property
    def definition(self) -> Definition:
        """The task's definition, with what was chosen on validation."""
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
        """The duration of the best trial."""
        return self.trial.seconds

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints of all trials, once the result is stored."""
        for trial in self.trials:  # a trial that was resumed may have left one as well
            Checkpoint(trial.specification, resume=False).remove()


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
        plan: the task.
        backbone: frozen; it is unchanged afterwards.
        known: trials that an earlier run recorded, and that need not be trained again.
        record: called with every new trial as soon as it ended.
        resume: use the checkpoints that an earlier run left.
        progress: show bars, if the error stream is a terminal.

    Raises:
        InputError: if longer inputs were requested than the backbone takes, or layers that it
            does not have.
        TrainingError: if every trial diverged.
    """
    base = fitted(plan, backbone)
    trainer = Trainer(backbone, plan, known=known, record=record, resume=resume, progress=progress)
    best, trials = tune(trainer, base)
    predictions, metrics = trainer.evaluate(best)
    assert best.weights is not None  # noqa: S101 - tune returns the best with its weights
    return Result(best, trials, best.weights, predictions, metrics)
