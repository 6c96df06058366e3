"""A trial: one training from one seed, as it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.bank.records import MetricRecord, TrialRecord
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import orient
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.loop import Epoch
from taskbank.training.search import Setting

if TYPE_CHECKING:
    import numpy as np
    import torch

# The statuses that a trial can end with, the best last.
RANKS = ("diverged", "pruned", "collapsed", "complete")


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        setting: how it was trained.
        specification: digest of everything that decides its bytes.
        status: `complete`; `collapsed`: it is no better than constant predictions; `diverged`: its
            loss was not finite; `pruned`: it was stopped early.
        score: the task's metric on validation, of the best epoch.
        loss: on validation, of the same epoch.
        definition: of the task, with what was chosen on validation.
        epochs: every epoch that was run.
        best_epoch: number of the epoch whose weights were kept; 0 for none.
        seconds: duration of the training.
        at_max_length: number of training inputs that reach the largest length.
        problem: why it diverged.
        metrics: every metric on validation.
        parameters: number of trained parameters.
        weights: what was trained, by stored name; none if they were released.
        predictions: of validation; none if they were released.
    """

    setting: Setting
    specification: str
    status: str
    score: float
    loss: float
    definition: Definition = field(default_factory=Definition)
    epochs: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    seconds: float = 0.0
    at_max_length: int = 0
    problem: str = ""
    metrics: tuple[MetricRecord, ...] = ()
    parameters: int = 0
    weights: Mapping[str, torch.Tensor] | None = None
    predictions: np.ndarray | None = None

    def rank(self, metric: str) -> tuple[int, float, float]:
        """Return what trials are compared by: higher is better."""
        return RANKS.index(self.status), orient(metric, self.score), -self.loss

    @property
    def course(self) -> dict[str, Json]:
        """How the training went, as the bank records it."""
        found: dict[str, Json] = {
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "epochs": [dict(vars(epoch)) for epoch in self.epochs],
            "at_max_length": self.at_max_length,
        }
        return found | ({"problem": self.problem} if self.problem else {})


def recorded_trial(record: TrialRecord) -> Trial:
    """Return a trial as the bank recorded it, without weights and predictions."""
    course = record.course
    epochs = tuple(Epoch(**epoch) for epoch in course["epochs"])
    best = course["best_epoch"]
    return Trial(
        setting=Setting(MethodSpec(record.method, record.options), TrainingSpec(**record.training)),
        specification=record.specification,
        status=record.status,
        score=record.score,
        loss=epochs[best - 1].validation_loss if best else float("inf"),
        definition=Definition(record.labels, record.settings),
        epochs=epochs,
        best_epoch=best,
        seconds=course["seconds"],
        at_max_length=course.get("at_max_length", 0),
        problem=course.get("problem", ""),
        metrics=record.metrics,
        parameters=record.parameters,
    )
