"""Trains the trials of one task on one backbone: each once, interrupted or not.

A trial is one training from one seed. What decides its bytes (data, method, hyperparameters,
backbone, versions) is its specification, by whose digest a state on disk and a row in the bank
are known again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewTrial
from taskbank.bank.records import MetricRecord
from taskbank.digests import Json, canonical_json, digest_json
from taskbank.errors import TrainingError
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import LOWER_IS_BETTER
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import TaskModel, task_model
from taskbank.runtime.environment import environment, numerics
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.evaluation import measure
from taskbank.training.loop import Training, train
from taskbank.training.plan import TaskPlan
from taskbank.training.prepared import Prepared
from taskbank.training.sampler import GiveUp
from taskbank.training.search import Setting
from taskbank.training.trial import Trained, Trial, ended

if TYPE_CHECKING:
    import numpy as np


class Trainer:
    """Trains trials of one task on one backbone.

    Args:
        bank: that the trials are recorded in.
        backbone: frozen, and carrying nothing between trials.
        plan: what was asked for.
        resume: use what an earlier run left: rows of the bank, and states on disk.
        progress: show bars, if the error stream is a terminal.
    """

    def __init__(
        self,
        bank: Bank,
        backbone: Backbone,
        plan: TaskPlan,
        *,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        self.bank, self.backbone, self.plan = bank, backbone, plan
        self.resume, self.progress = resume, progress
        recorded = bank.trials(plan.name) if resume else ()
        self.known = {
            trial.specification: ended(trial) for trial in recorded if trial.status != "diverged"
        }
        self._prepared: dict[tuple[str, int], Prepared] = {}

    def run(self, setting: Setting, give_up: GiveUp | None = None, about: str = "") -> Trial:
        """Return a trial: the one that is known, or else a new one, trained and not yet recorded.

        Args:
            setting: how it is trained.
            give_up: asked after every epoch whether to end.
            about: what the bar says of it.
        """
        specification = self.specification(setting)
        found = self.known.get(specification)
        if found is not None and give_up is not None:  # a sampler hears again what it heard then
            for epoch in found.epochs:
                give_up(epoch)
        if found is not None and (found.status != "pruned" or give_up is not None):
            return found
        return self._train(setting, specification, give_up, about)

    def record(self, trial: Trial) -> None:
        """Put a new trial into the bank, with its weights if they are to be kept."""
        if trial.new is None:
            return
        self.bank.put_trial(trial.new)
        self.known[trial.specification] = replace(trial, new=None, trained=None)

    def trained(self, trial: Trial) -> Trained:
        """Return what the training of a trial left, trained once more if it is not at hand."""
        found = trial.trained
        if found is None:
            found = self._train(trial.setting, trial.specification, None, "once more").trained
        if found is None:
            raise TrainingError(f"a trial that had ended well diverged when trained again: {trial}")
        return found

    def forget(self, trial: Trial) -> None:
        """Remove the state on disk: the trial is not needed any more."""
        self._checkpoint(trial.specification).remove()

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

    def evaluate(self, trained: Trained) -> tuple[dict[str, np.ndarray], tuple[MetricRecord, ...]]:
        """Return predictions and metrics of a trial on every split that is scored."""
        plan, definition = self.plan, trained.new.definition
        predictions = {"validation": trained.training.predictions}
        length = trained.new.training.max_length
        model = self._model(Setting(trained.new.method, trained.new.training))
        model.load_trained(trained.weights)
        model.eval()
        for split in plan.data.evaluated.keys() - predictions:
            encoded = self._split(split, length).encoded
            predictions[split] = predict_examples(model, plan.kind, encoded)
        metrics = [
            metric
            for split, examples in plan.data.evaluated.items()
            for metric in measure(
                plan.kind, split, predictions[split], examples.columns, definition
            )
        ]
        return predictions, tuple(metrics)

    def _train(
        self, setting: Setting, specification: str, give_up: GiveUp | None, about: str
    ) -> Trial:
        plan, spec = self.plan, setting.training
        checkpoint = self._checkpoint(specification)
        try:
            model = self._model(setting)
            training = train(
                model,
                plan.kind,
                plan.data.definition,
                self._split("train", spec.max_length),
                self._split("validation", spec.max_length),
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
        weights = {
            name: tensor.detach().cpu().clone().contiguous()
            for name, tensor in model.trained().items()
        }
        return self._ended(setting, specification, training, weights)

    def _ended(
        self,
        setting: Setting,
        specification: str,
        training: Training,
        weights: Mapping[str, torch.Tensor],
    ) -> Trial:
        kind, columns = self.plan.kind, self.plan.data.validation.columns
        definition = training.definition
        status = "complete"
        if training.pruned:
            status = "pruned"
        elif self._collapsed(training):
            status = "collapsed"
        metrics = measure(kind, "validation", training.predictions, columns, definition)
        new = self._new(
            setting,
            specification,
            definition=definition,
            status=status,
            score=training.best.score,
            metrics=tuple(metrics),
            weights=weights,
            course={
                "seconds": round(training.seconds, 3),
                "best_epoch": training.best.number,
                "epochs": [vars(epoch) for epoch in training.epochs],
            },
        )
        best = training.best
        return Trial(
            setting,
            specification,
            status,
            best.score,
            best.validation_loss,
            training.epochs,
            new,
            Trained(new, training, weights),
        )

    def _diverged(self, setting: Setting, specification: str, error: TrainingError) -> Trial:
        # It is scored as what looks at no input: it gives nothing that could be.
        plan = self.plan
        columns, definition = plan.data.validation.columns, plan.data.definition
        constant_baseline = plan.kind.constant_baseline(columns, definition)
        score = plan.kind.scores(constant_baseline, columns, definition)[plan.metric]
        new = self._new(
            setting,
            specification,
            definition=definition,
            status="diverged",
            score=score,
            metrics=(),
            weights={},
            course={"problem": str(error), "seconds": 0.0, "best_epoch": 0, "epochs": []},
        )
        return Trial(
            setting, specification, "diverged", score, float("inf"), new=new, problem=str(error)
        )

    def _new(
        self,
        setting: Setting,
        specification: str,
        *,
        definition: Definition,
        status: str,
        score: float,
        metrics: tuple[MetricRecord, ...],
        weights: Mapping[str, torch.Tensor],
        course: Mapping[str, Json],
    ) -> NewTrial:
        from safetensors.torch import save

        plan = self.plan
        reach = 0
        if ("train", setting.training.max_length) in self._prepared:
            lengths = self._split("train", setting.training.max_length).encoded.lengths
            reach = int((lengths >= setting.training.max_length).sum())
        described = plan.data.described()
        keep = plan.keep_trials and plan.stored and weights
        return NewTrial(
            task=plan.name,
            kind=plan.kind.name,
            backbone=self.backbone.identity,
            specification=specification,
            method=setting.method,
            training=setting.training,
            data=described,
            definition=definition,
            status=status,
            metric=plan.metric,
            score=score,
            metrics=metrics,
            parameters=sum(tensor.numel() for tensor in weights.values()),
            weights=save(dict(weights)) if keep else None,
            environment=environment(str(self.backbone.device))
            | {"train": described["train"] | {"at_max_length": reach}}
            | {"asked": plan.specification}
            | dict(course),
        )

    def _collapsed(self, training: Training) -> bool:
        """Return whether a training learned nothing, as far as validation can tell.

        It gives the same answer to every example, or is by no metric better than predictions
        that look at no input.
        """
        kind, definition = self.plan.kind, training.definition
        columns = self.plan.data.validation.columns
        wanted = {canonical_json(value) for value in columns[kind.label.name]}
        if len(wanted) == 1:
            return False  # there, one answer is the right one
        answers = kind.answers(training.predictions, columns, definition)
        if len({answer["label"] for answer in answers}) == 1:
            return True
        constant_baseline = kind.constant_baseline(columns, definition)
        chance = kind.scores(
            constant_baseline, columns, kind.tune(constant_baseline, columns, definition)
        )
        scores = kind.scores(training.predictions, columns, definition)
        # The loss may fall a little while every prediction is still the same.
        names = scores.keys() - set(LOWER_IS_BETTER)
        return all(scores[name] <= chance[name] for name in names)

    def _model(self, setting: Setting) -> TaskModel:
        return task_model(
            self.backbone,
            self.plan.kind,
            self.plan.data.definition,
            setting.method.name,
            setting.method.options,
            setting.training.seed,
        )

    def _split(self, name: str, max_length: int) -> Prepared:
        data = self.plan.data
        key = (name, max_length)
        if key not in self._prepared:
            examples = {"train": data.train, **data.evaluated}[name]
            encoded = self.plan.kind.encode(
                self.backbone.tokenizer,
                examples.columns,
                data.definition,
                max_length,
                labelled=name != "test",
            )
            self._prepared[key] = Prepared(encoded, examples.columns)
        return self._prepared[key]

    def _checkpoint(self, specification: str) -> Checkpoint:
        return Checkpoint(specification, resume=self.resume)
