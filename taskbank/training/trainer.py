"""Trains the trials of one task on one backbone: each once, interrupted or not.

Everything that decides a trial's bytes (data, method, hyperparameters, backbone, versions) is its
specification. Its digest identifies the checkpoint on disk and the record in the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace

import numpy as np

from taskbank.backbone.backbone import Backbone
from taskbank.bank.records import MetricRecord
from taskbank.digests import digest_json
from taskbank.errors import TrainingError
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import TaskModel, task_model
from taskbank.runtime.environment import numerics
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.evaluation import has_collapsed, measure
from taskbank.training.loop import Training, train
from taskbank.training.plan import TaskPlan
from taskbank.training.prepared import PreparedSplits
from taskbank.training.sampler import GiveUp
from taskbank.training.search import Setting
from taskbank.training.trial import Trial


class Trainer:
    """Trains trials of one task on one backbone.

    Args:
        backbone: frozen; many trials share it.
        plan: the task.
        known: trials that an earlier run recorded, and that need not be trained again.
        record: called with every new trial as soon as it ended.
        resume: use the checkpoints that an earlier run left.
        progress: show bars, if the error stream is a terminal.
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
        self._splits = PreparedSplits(backbone, plan)

    def run(self, setting: Setting, give_up: GiveUp | None = None, about: str = "") -> Trial:
        """Return a trial: a known one, or else a new one, trained and recorded.

        Args:
            setting: how it is trained.
            give_up: asked after every epoch whether to stop.
            about: describes the trial in the progress bar.
        """
        specification = self.specification(setting)
        found = self.known.get(specification)
        if found is not None and give_up is not None:  # the sampler learns again what it learned
            for epoch in found.epochs:
                give_up(epoch)
        if found is not None and (found.status != "pruned" or give_up is not None):
            return found
        trial = self._train(setting, specification, give_up, about)
        self.record(trial)
        self.known[specification] = released(trial)
        return trial

    def with_weights(self, trial: Trial) -> Trial:
        """Return a trial with its weights, trained once more if they were released."""
        if trial.weights is not None:
            return trial
        again = self._train(trial.setting, trial.specification, None, "once more")
        if again.weights is None:
            raise TrainingError(f"a trial that had ended well diverged when trained again: {again}")
        return again

    def specification(self, setting: Setting) -> str:
        """Return the digest of everything that decides the bytes of a trial."""
        data = self.plan.data
        return digest_json(
            {
                "kind": self.plan.kind.name,
                "definition": asdict(data.definition),
                "train": data.train.digest,
                "validation": data.validation.digest,
                "metric": self.plan.metric,
                "backbone": self.backbone.identity.fingerprint,
                "method": asdict(setting.method),
                "training": setting.training.to_json(),
                "environment": numerics(str(self.backbone.device)),
            }
        )

    def evaluate(self, trial: Trial) -> tuple[dict[str, np.ndarray], tuple[MetricRecord, ...]]:
        """Return predictions and metrics of a trial on every evaluated split.

        Args:
            trial: with its weights and predictions.
        """
        assert trial.weights is not None and trial.predictions is not None  # noqa: S101, PT018
        plan = self.plan
        predictions = {"validation": trial.predictions}
        model = self._model(trial.setting)
        model.load_tensors(trial.weights)
        model.eval()
        for split in plan.data.evaluated.keys() - predictions:
            encoded = self._splits.get(split, trial.setting.training.max_length).encoded
            predictions[split] = predict_examples(model, plan.kind, encoded)
        metrics = [
            metric
            for split, examples in plan.data.evaluated.items()
            for metric in measure(
                plan.kind, split, predictions[split], examples.columns, trial.definition
            )
        ]
        return predictions, tuple(metrics)

    def _train(
        self, setting: Setting, specification: str, give_up: GiveUp | None, about: str
    ) -> Trial:
        plan, spec = self.plan, setting.training
        checkpoint = Checkpoint(specification, resume=self.resume)
        try:
            model = self._model(setting)
            training = train(
                model,
                plan.kind,
                plan.data.definition,
                self._splits.get("train", spec.max_length),
                self._splits.get("validation", spec.max_length),
                spec,
                plan.metric,
                checkpoint=checkpoint,
                give_up=give_up,
                progress=self.progress,
                about=about,
            )
        except TrainingError as error:
            checkpoint.remove()
            return self._diverged(setting, specification, error)
        return self._ended(setting, specification, training, model)

    def _ended(
        self, setting: Setting, specification: str, training: Training, model: TaskModel
    ) -> Trial:
        kind, columns = self.plan.kind, self.plan.data.validation.columns
        predictions, definition = training.predictions, training.definition
        status = "complete"
        if training.pruned:
            status = "pruned"
        elif has_collapsed(kind, predictions, columns, definition):
            status = "collapsed"
        weights = {
            name: tensor.detach().cpu().clone().contiguous()
            for name, tensor in model.trained_tensors().items()
        }
        return Trial(
            setting=setting,
            specification=specification,
            status=status,
            score=training.best.score,
            loss=training.best.validation_loss,
            definition=definition,
            epochs=training.epochs,
            best_epoch=training.best.number,
            seconds=round(training.seconds, 3),
            at_max_length=self._splits.at_max_length(setting.training.max_length),
            metrics=tuple(measure(kind, "validation", predictions, columns, definition)),
            parameters=sum(tensor.numel() for tensor in weights.values()),
            weights=weights,
            predictions=predictions,
        )

    def _diverged(self, setting: Setting, specification: str, error: TrainingError) -> Trial:
        # It has no predictions, so it gets the score of constant ones.
        plan = self.plan
        columns, definition = plan.data.validation.columns, plan.data.definition
        baseline = plan.kind.constant_baseline(columns, definition)
        return Trial(
            setting=setting,
            specification=specification,
            status="diverged",
            score=plan.kind.scores(baseline, columns, definition)[plan.metric],
            loss=float("inf"),
            definition=definition,
            at_max_length=self._splits.at_max_length(setting.training.max_length),
            problem=str(error),
        )

    def _model(self, setting: Setting) -> TaskModel:
        return task_model(
            self.backbone,
            self.plan.kind,
            self.plan.data.definition,
            setting.method.name,
            setting.method.options,
            setting.training.seed,
        )


def released(trial: Trial) -> Trial:
    """Return a trial without its weights and predictions, which take memory."""
    return replace(trial, weights=None, predictions=None)
