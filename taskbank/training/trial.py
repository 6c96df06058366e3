"""A trial: one training from one seed, as it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from taskbank.bank.new_records import NewTrial
from taskbank.bank.records import TrialRecord
from taskbank.kinds.metrics import better
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.loop import Epoch, Training
from taskbank.training.search import Setting

if TYPE_CHECKING:
    pass

# What a trial may have come to, the best last.
RANKS = ("diverged", "pruned", "collapsed", "complete")


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        new: the trial as it is recorded.
        training: how it went.
        weights: what was trained, by stored name.
    """

    new: NewTrial
    training: Training
    weights: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        setting: how it was trained.
        specification: digest of everything that decides its bytes.
        status: `complete`; `collapsed`: it is no better than predictions that look at no
            input; `diverged`: its loss was no number; `pruned`: it was given up early.
        score: the task's metric on validation, the best epoch's.
        loss: on validation, the same epoch's.
        epochs: every epoch that was run.
        new: as it is recorded; none if it came from the bank.
        trained: what the training left; none if that is not at hand.
        problem: why it diverged.
    """

    setting: Setting
    specification: str
    status: str
    score: float
    loss: float
    epochs: tuple[Epoch, ...] = ()
    new: NewTrial | None = None
    trained: Trained | None = None
    problem: str = ""

    def rank(self, metric: str) -> tuple[int, float, float]:
        """Return what trials are compared by: higher is better."""
        return RANKS.index(self.status), better(metric, self.score), -self.loss


def ended(record: TrialRecord) -> Trial:
    """Return a trial as the bank has it."""
    epochs = tuple(Epoch(**epoch) for epoch in record.environment["epochs"])
    best = record.environment["best_epoch"]
    loss = epochs[best - 1].validation_loss if best else float("inf")
    return Trial(
        Setting(MethodSpec(record.method, record.options), TrainingSpec(**record.training)),
        record.specification,
        record.status,
        record.score,
        loss,
        epochs,
    )
