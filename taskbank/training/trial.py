"""A finished trial: one training with one setting and one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskbank.bank.records import MetricRecord, TrialRecord, parents_of
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import orient
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.loop import Epoch
from taskbank.training.search import Setting

if TYPE_CHECKING:
    import numpy as np
    import torch

# The statuses of a finished trial, from worst to best.
RANKS = ("diverged", "pruned", "collapsed", "complete")


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-validation, scored by a training on the other folds.

    Attributes:
        rows: number of examples in the fold.
        scores: the value of every metric on these examples.
    """

    rows: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Member:
    """One training of an ensemble.

    Attributes:
        seed: its seed.
        status: its status as a trial of its own.
        score: the best epoch's value of the task's metric on the validation split.
        loss: the best epoch's loss on the validation split.
        best_epoch: number of the epoch whose weights were kept.
        epochs: number of epochs that were run.
        seconds: its duration in seconds.
        discarded: the same training from other seeds, which collapsed or was worse.
    """

    seed: int
    status: str
    score: float
    loss: float
    best_epoch: int
    epochs: int
    seconds: float
    discarded: tuple[Member, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return it as the course of the ensemble has it."""
        discarded = [one.to_json() for one in self.discarded]
        own = {name: value for name, value in vars(self).items() if name != "discarded"}
        return own | ({"discarded": discarded} if discarded else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Member:
        """Return the member that a course has."""
        discarded = tuple(map(cls.from_json, stored.get("discarded", ())))
        return cls(**{**stored, "discarded": discarded})

    @classmethod
    def of(cls, trial: Trial) -> Member:
        """Return what is recorded of a training."""
        return cls(
            trial.setting.training.seed,
            trial.status,
            trial.score,
            trial.loss,
            trial.best_epoch,
            len(trial.epochs),
            trial.seconds,
        )


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
        setting: the trial's method and hyperparameters.
        specification: digest of everything that determines the trial's bytes.
        status: `complete`; `collapsed` if it is no better than constant predictions; `diverged` if
            its loss was not finite; `pruned` if it was stopped early.
        score: the best epoch's value of the task's metric on the validation split; with folds, the
            value over all examples, each predicted by the training that left its fold out.
        loss: the best epoch's loss on the validation split.
        definition: the task's definition, with the values tuned on validation.
        epochs: every epoch that was run; of an ensemble, one that stands for the combination.
        best_epoch: number of the epoch whose weights were kept; 0 if there is none.
        seconds: duration of the training in seconds.
        truncated: number of examples of which tokens were left out, by split.
        problem: error message of a diverged trial.
        metrics: every metric on the validation split, or over all folds.
        folds: the folds of a cross-validation.
        members: the trainings of an ensemble; none of a single training.
        classes: the report by class over all folds, as JSON; None without folds or classes.
        chance: the probability of the score without any relation; see `chance_of_score`. None if
            it was not computed.
        linear_probe: the score that the head alone reaches, by evaluated split; None if it was not
            trained.
        parameters: number of trained parameters.
        weights: trained tensors, by stored name; None if they were released.
        predictions: predictions on the validation split; None if they were released.
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
    truncated: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    metrics: tuple[MetricRecord, ...] = ()
    folds: tuple[Fold, ...] = ()
    members: tuple[Member, ...] = ()
    classes: Mapping[str, Json] | None = None
    chance: float | None = None
    linear_probe: Mapping[str, float] | None = None
    parameters: int = 0
    weights: Mapping[str, torch.Tensor] | None = None
    predictions: np.ndarray | None = None

    def rank(self, metric: str) -> tuple[int, float, float]:
        """Return the sort key of trials; a greater key is better.

        Args:
            metric: the name of the task's metric.
        """
        return RANKS.index(self.status), orient(metric, self.score), -self.loss

    @property
    def course(self) -> dict[str, Json]:
        """The course of the training, as the bank records it."""
        course: dict[str, Json] = {
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "epochs": [dict(vars(epoch)) for epoch in self.epochs],
            "truncated": dict(self.truncated),
        }
        if self.classes is not None:
            course["classes"] = dict(self.classes)
        if self.chance is not None:
            course["chance"] = self.chance
        if self.linear_probe is not None:
            course["linear_probe"] = dict(self.linear_probe)
        if self.folds:
            course["folds"] = [{"rows": one.rows, "scores": dict(one.scores)} for one in self.folds]
        if self.members:
            course["members"] = [member.to_json() for member in self.members]
        if self.setting.parents:
            course["parents"] = [parent.to_json() for parent in self.setting.parents]
        return course | ({"problem": self.problem} if self.problem else {})


def trial_from_record(record: TrialRecord) -> Trial:
    """Return the trial of a bank's record, without weights and predictions."""
    course = record.course
    epochs = tuple(Epoch(**epoch) for epoch in course["epochs"])
    best = course["best_epoch"]
    return Trial(
        setting=Setting(
            MethodSpec(record.method, record.options),
            TrainingSpec(**record.training),
            parents_of(course),
        ),
        specification=record.specification,
        status=record.status,
        score=record.score,
        loss=epochs[best - 1].validation_loss if best else float("inf"),
        definition=Definition(record.labels, record.settings),
        epochs=epochs,
        best_epoch=best,
        seconds=course["seconds"],
        truncated=course.get("truncated", {}),
        problem=course.get("problem", ""),
        metrics=record.metrics,
        classes=course.get("classes"),
        chance=course.get("chance"),
        linear_probe=course.get("linear_probe"),
        folds=tuple(Fold(**fold) for fold in course.get("folds", ())),
        members=tuple(map(Member.from_json, course.get("members", ()))),
        parameters=record.parameters,
    )
