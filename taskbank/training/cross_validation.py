"""Trains the trials of a task by cross-validation, for data that is too small to hold any out.

A trial trains once per fold, on the other folds, and its score is over all examples, each predicted
by the training that has not seen it. No epoch is chosen, so the score is of the last one. The
adapter is then trained on all examples in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from taskbank.backbone.backbone import Backbone
from taskbank.digests import digest_json
from taskbank.errors import TrainingError
from taskbank.specs import FOLDS
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.evaluation import (
    Evaluation,
    chance_of_score,
    has_collapsed,
    measure,
)
from taskbank.training.loop import Epoch
from taskbank.training.plan import TaskPlan
from taskbank.training.task_data import TaskData
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Fold, Trial

if TYPE_CHECKING:
    from taskbank.data.examples import Examples
    from taskbank.training.sampler import ShouldPrune
    from taskbank.training.search import Setting


class CrossValidation:
    """Trains the trials of one task on one backbone, each once per fold.

    Args:
        backbone: the frozen backbone that all trials share.
        plan: the planned task, whose data has folds.
        known: trials that an earlier run recorded; they are not trained again.
        record: function that is called with every new trial as soon as it has ended.
        resume: whether to use the checkpoints of an earlier run.
        progress: whether to show progress bars if stderr is a terminal.
    """

    def __init__(
        self,
        backbone: Backbone,
        plan: TaskPlan,
        *,
        known: Iterable[Trial] = (),
        record: Callable[[Trial], None] = lambda _trial: None,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        self.backbone, self.plan = backbone, plan
        self.known = {trial.specification: trial for trial in known if trial.status != "diverged"}
        self.record, self.resume, self.progress = record, resume, progress
        train = plan.data.train
        self._all = self._trainer(train, train)

    def check_machine(self, setting: Setting) -> None:
        """Raise if outputs on this machine depend on their batch; see `Trainer.check_machine`."""
        self._all.check_machine(setting)

    def run(
        self, setting: Setting, should_prune: ShouldPrune | None = None, caption: str = ""
    ) -> Trial:
        """Return the trial of a setting, training and recording it unless it is known.

        Args:
            setting: the trial's setting.
            should_prune: not used: a trial is compared with others when all folds are scored.
            caption: text that describes the trial in the progress bar.
        """
        specification = self._specification(setting)
        if specification in self.known:
            return self.known[specification]
        trials: list[Trial] = []
        checkpoints: list[str] = []
        for number, trainer in enumerate(self._fold_trainers(), start=1):
            fold = f"fold {number}/{self.plan.data.folds}"
            trials.append(trainer.run(setting, None, f"{caption}, {fold}" if caption else fold))
            checkpoints += trainer.checkpoints(trials[-1])
            if trials[-1].status == "diverged":
                break
        trial = replace(self._combine(trials), specification=specification)
        self.record(trial)
        for one in checkpoints:  # recorded, so no longer needed to resume
            Checkpoint(one, resume=False).remove()
        self.known[specification] = trial
        return trial

    def ensure_weights(self, trial: Trial) -> Trial:
        """Return a trial with the weights of a training on all examples."""
        if trial.weights is not None or trial.status == "diverged":
            return trial
        final = self._all.run(trial.setting, None, "all rows")
        if final.status == "diverged":
            raise TrainingError(final.problem)
        return replace(
            trial,
            seconds=round(trial.seconds + final.seconds, 3),
            truncated=self.truncated(trial),
            parameters=final.parameters,
            weights=final.weights,
            predictions=final.predictions,
        )

    def evaluate(self, trial: Trial) -> Evaluation:
        """Return the predictions of train, and the metrics of the folds and of train.

        Args:
            trial: a trial whose weights and predictions were not released.

        Raises:
            UnstableError: if the predictions depend on their batch by more than rounding explains.
        """
        found = self._all.evaluate(trial)
        own = (replace(metric, split="train") for metric in found.metrics)
        predictions = {"train": found.predictions["validation"]}
        return Evaluation(predictions, (*own, *trial.metrics), trial.chance)

    def linear_probe(self, trial: Trial) -> None:
        """Return None: every fold would need a probe of its own."""
        return

    def truncated(self, trial: Trial) -> dict[str, int]:
        """Return the number of training examples of which tokens were left out."""
        counts = self._all.truncated(trial)
        return {"train": counts["train"]} if "train" in counts else {}

    def checkpoints(self, trial: Trial) -> tuple[str, ...]:
        """Return the specifications of the trainings that a trial needs until it is stored."""
        return self._all.checkpoints(trial)

    def _specification(self, setting: Setting) -> str:
        fold_of = list(self.plan.data.fold_of or ())
        return digest_json({"folds": fold_of, "training": self._all.specification(setting)})

    def _trainer(self, train: Examples, scored: Examples) -> Trainer:
        data = TaskData(self.plan.data.definition, train, scored, None, {})
        return Trainer(
            self.backbone,
            replace(self.plan, data=data),
            keep_last=True,
            resume=self.resume,
            progress=self.progress,
        )

    def _fold_trainers(self) -> Iterator[Trainer]:
        train, fold_of = self.plan.data.train, np.array(self.plan.data.fold_of)
        for fold in range(self.plan.data.folds):
            rest, rows = (
                np.flatnonzero(mask).tolist() for mask in (fold_of != fold, fold_of == fold)
            )
            yield self._trainer(train.select(rest, train.origin), train.select(rows, train.origin))

    def _combine(self, trials: Sequence[Trial]) -> Trial:
        """Return the trial of all folds; of the last one alone if its training diverged."""
        kind, data, last = self.plan.kind, self.plan.data, trials[-1]
        if last.status == "diverged":
            return last
        columns, fold_of = data.train.columns, np.array(data.fold_of)
        predictions = np.empty(kind.shape(columns, data.definition), dtype=np.float32)
        owner = fold_of[kind.examples_of(columns)]
        for number, trial in enumerate(trials):
            assert trial.predictions is not None  # noqa: S101 - a new trial has its predictions
            predictions[owner == number] = trial.predictions
        definition = kind.tune(predictions, columns, data.definition)
        metrics = measure(kind, FOLDS, predictions, columns, definition)
        rows = np.bincount(fold_of)
        folds = []
        for number, count in enumerate(rows.tolist()):
            chosen = data.train.select(np.flatnonzero(fold_of == number).tolist(), "").columns
            scores = kind.scores(predictions[owner == number], chosen, definition)
            folds.append(Fold(count, scores))
        report = kind.by_class(predictions, columns, definition)
        collapsed = has_collapsed(kind, predictions, columns, definition)
        epochs = _mean_epochs([trial.epochs for trial in trials], rows / rows.sum())
        return Trial(
            setting=last.setting,
            specification=last.specification,
            status="collapsed" if collapsed else "complete",
            score=next(one.value for one in metrics if one.name == self.plan.metric),
            loss=epochs[-1].validation_loss,
            definition=definition,
            epochs=epochs,
            best_epoch=len(epochs),
            seconds=round(sum(trial.seconds for trial in trials), 3),
            truncated={"train": sum(trial.truncated.get("validation", 0) for trial in trials)},
            metrics=tuple(metrics),
            folds=tuple(folds),
            classes=None if report is None else report.to_json(),
            chance=chance_of_score(kind, self.plan.metric, predictions, columns, definition),
            parameters=last.parameters,
        )


def _mean_epochs(courses: Sequence[Sequence[Epoch]], weights: np.ndarray) -> tuple[Epoch, ...]:
    """Return the mean course of the trainings of all folds.

    Args:
        courses: the epochs of each training.
        weights: the share of the examples in each fold.
    """
    names = ("loss", "score", "validation_loss")
    return tuple(
        Epoch(
            number,
            **{name: float(weights @ [asdict(epoch)[name] for epoch in epochs]) for name in names},
        )
        for number, epochs in enumerate(zip(*courses, strict=True), start=1)
    )
