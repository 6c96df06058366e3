"""Trains the trials of one task on one backbone, each once, even across interruptions.

A trial's specification is everything that determines its bytes: data, method, hyperparameters,
backbone, versions. The specification's digest identifies the checkpoint on disk and the record in
the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.digests import digest_json
from taskbank.errors import TrainingError
from taskbank.kinds.canaries import choose_canaries
from taskbank.model.ensemble import joined
from taskbank.model.predict import predict_examples
from taskbank.model.stored_model import StoredModel
from taskbank.model.task_model import TaskModel, task_model
from taskbank.runtime.environment import numerics
from taskbank.specs import MethodSpec
from taskbank.training.anchor import Anchor
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.contrastive import train_contrastive
from taskbank.training.defaults import default_hyperparameters
from taskbank.training.ensemble import combine_trials
from taskbank.training.evaluation import (
    Evaluation,
    chance_of_score,
    has_collapsed,
    measure,
)
from taskbank.training.loop import Training, train
from taskbank.training.plan import TaskPlan
from taskbank.training.prepared import PreparedSplits
from taskbank.training.sampler import ShouldPrune
from taskbank.training.search import RETRIES, Setting
from taskbank.training.trial import Member, Trial
from taskbank.verify.noise import check_stable

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Columns
    from taskbank.methods.method import Method

CHECKED_EXAMPLES = 16  # validation examples whose outputs are compared before training


class Trainer:
    """Trains the trials of one task on one backbone.

    Args:
        backbone: the frozen backbone that all trials share.
        plan: the planned task.
        known: trials that an earlier run recorded; they are not trained again.
        record: function that is called with every new trial as soon as it has ended.
        keep_last: whether to keep the last epoch of a training instead of the best.
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
        keep_last: bool = False,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        self.backbone, self.plan = backbone, plan
        self.known = {trial.specification: trial for trial in known if trial.status != "diverged"}
        self.record, self.resume, self.progress = record, resume, progress
        self.keep_last = keep_last
        self._splits = PreparedSplits(backbone, plan)
        starts = (*plan.starts, plan.continued) if plan.continued else plan.starts
        self._starts = {start.parents: start for start in starts}

    def run(
        self, setting: Setting, should_prune: ShouldPrune | None = None, caption: str = ""
    ) -> Trial:
        """Return the trial of a setting, training and recording it unless it is known.

        Args:
            setting: the trial's setting.
            should_prune: called after every epoch; returns whether to stop the training early. Not
                used for an ensemble, whose trainings have no epochs in common.
            caption: text that describes the trial in the progress bar.
        """
        if setting.training.ensemble > 1:
            should_prune = None
        specification = self.specification(setting)
        known = self.known.get(specification)
        if known is not None and should_prune is not None:  # the sampler must see every epoch again
            for epoch in known.epochs:
                should_prune(epoch)
        if known is not None and (known.status != "pruned" or should_prune is not None):
            return known
        trial = self._train(setting, specification, should_prune, caption)
        self.record(trial)
        self.known[specification] = release_weights(trial)
        return trial

    def ensure_weights(self, trial: Trial) -> Trial:
        """Return a trial with its weights, training it again if its weights were released."""
        if trial.weights is not None:
            return trial
        retrained = self._train(trial.setting, trial.specification, None, "retraining the best")
        if retrained.weights is None:
            raise TrainingError(f"a complete trial diverged when it was trained again: {retrained}")
        return retrained

    def checkpoints(self, trial: Trial) -> tuple[str, ...]:
        """Return the specifications of the trainings that a trial needs until it is stored."""
        members = trial.setting.members
        seeds = [discarded.seed for one in trial.members for discarded in (one, *one.discarded)]
        needed = [*members, *(members[0].with_seed(seed) for seed in seeds)]
        return tuple(dict.fromkeys(map(self.specification, needed)))

    def specification(self, setting: Setting) -> str:
        """Return the digest of everything that determines the bytes of a trial."""
        data = self.plan.data
        kept = {"keep": "last"} if self.keep_last else {}
        start = self._starts[setting.parents] if setting.parents else None
        anchor = self.plan.anchor
        return digest_json(
            kept
            | ({"parents": start.digests} if start else {})
            | ({"anchor": anchor.digests} if anchor else {})
            | {
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

    def check_machine(self, setting: Setting) -> None:
        """Raise if outputs on this machine depend on the batch that they are computed in.

        The outputs are those of an untrained model for a few validation examples.

        Args:
            setting: a setting of the task.

        Raises:
            UnstableError: if they depend on it by more than rounding explains.
        """
        model, length = self._model(setting), setting.training.max_length
        model.eval()
        count = len(self.plan.data.validation)
        rows = np.unique(np.linspace(0, count - 1, CHECKED_EXAMPLES).astype(int)).tolist()
        columns, encoded = self._select("validation", rows, length)
        predictions = predict_examples(model, self.plan.kind, encoded)
        definition = self.plan.data.definition
        check_stable(model, self.plan.kind, definition, columns, encoded, predictions)

    def evaluate(self, trial: Trial) -> Evaluation:
        """Return a trial's predictions and its metrics on every evaluated split.

        Args:
            trial: a trial whose weights and predictions were not released.

        Raises:
            UnstableError: if the predictions depend on their batch by more than rounding explains.
        """
        assert trial.weights is not None and trial.predictions is not None  # noqa: S101, PT018
        plan = self.plan
        predictions = {"validation": trial.predictions}
        model = self._model(trial.setting)
        model.load_tensors(trial.weights)
        model.eval()
        for split in plan.data.evaluated_splits.keys() - predictions:
            encoded = self._splits.get(split, trial.setting.training.max_length).encoded
            predictions[split] = predict_examples(model, plan.kind, encoded)
        for split, observed in predictions.items():
            self._check_predictions(model, trial, split, observed)
        metrics = [
            metric
            for split, examples in plan.data.evaluated_splits.items()
            for metric in measure(
                plan.kind, split, predictions[split], examples.columns, trial.definition
            )
        ]
        scored = plan.data.scored_split
        chance = chance_of_score(
            plan.kind,
            plan.metric,
            predictions[scored],
            plan.data.evaluated_splits[scored].columns,
            trial.definition,
        )
        return Evaluation(predictions, tuple(metrics), chance)

    def linear_probe(self, trial: Trial) -> dict[str, float] | None:
        """Return the score that the head alone reaches, by evaluated split: a floor for a trial.

        The frozen backbone's output is computed once, so it takes seconds. It is trained with the
        trial's hyperparameters, but the learning rate and the epochs of the method `linear`.

        Args:
            trial: the trial to set it beside.

        Returns:
            the value of the task's metric; None if the trial is a linear probe itself, or the probe
            diverged.
        """
        if trial.setting.method.name == "linear":
            return None
        plan = self.plan
        method: Method = plugins.load("methods", "linear")
        defaults = default_hyperparameters(method, len(plan.data.train)) | dict(plan.kind.training)
        spec = replace(
            trial.setting.training, patience=None, contrastive=None, ensemble=1, **defaults
        )
        try:
            model, trained = self._run(
                Setting(MethodSpec(method.name), spec), caption="linear probe"
            )
        except TrainingError:
            return None
        scores = {"validation": trained.best.score}
        for name in plan.data.evaluated_splits.keys() - scores.keys():
            split = self._splits.get(name, spec.max_length)
            predictions = predict_examples(model, plan.kind, split.encoded)
            values = plan.kind.scores(predictions, split.columns, trained.definition)
            scores[name] = values[plan.metric]
        return scores

    def truncated(self, trial: Trial) -> dict[str, int]:
        """Return the number of examples of which tokens were left out, by tokenised split."""
        return self._splits.truncated(trial.setting.training.max_length)

    def _check_predictions(
        self, model: StoredModel, trial: Trial, split: str, predictions: np.ndarray
    ) -> None:
        kind, columns = self.plan.kind, self.plan.data.evaluated_splits[split].columns
        rows = choose_canaries(kind, predictions, columns, trial.definition)
        observed = predictions[np.isin(kind.examples_of(columns), rows)]
        selected, encoded = self._select(split, rows, trial.setting.training.max_length)
        check_stable(model, kind, trial.definition, selected, encoded, observed)

    def _select(self, split: str, rows: Sequence[int], max_length: int) -> tuple[Columns, Encoded]:
        """Return the columns of some examples of a split, and their inputs."""
        plan = self.plan
        columns = plan.data.evaluated_splits[split].select(rows, split).columns
        return columns, plan.kind.encode(
            self.backbone.tokenizer, columns, plan.data.definition, max_length, labelled=False
        )

    def _train(
        self, setting: Setting, specification: str, should_prune: ShouldPrune | None, caption: str
    ) -> Trial:
        if setting.training.ensemble > 1:
            return self._train_ensemble(setting, specification, caption)
        checkpoint = Checkpoint(specification, resume=self.resume)
        try:
            model, training = self._run(
                setting,
                anchor=self.plan.anchor,
                checkpoint=checkpoint,
                should_prune=should_prune,
                caption=caption,
            )
        except TrainingError as error:
            checkpoint.remove()
            return self._diverged_trial(setting, specification, str(error))
        return self._finished_trial(setting, specification, training, model)

    def _train_ensemble(self, setting: Setting, specification: str, caption: str) -> Trial:
        """Train the members one after another, and score their combination.

        The checkpoint of a member stays until the ensemble is recorded.
        """
        trials: list[Trial] = []
        members: list[Member] = []
        for number, member in enumerate(setting.members, start=1):
            own = f"member {number}/{setting.training.ensemble}"
            trained = self._train_member(member, f"{caption}, {own}" if caption else own)
            best = max(trained, key=lambda trial: trial.rank(self.plan.metric))
            discarded = tuple(Member.of(trial) for trial in trained if trial is not best)
            trials.append(best)
            members.append(replace(Member.of(best), discarded=discarded))
            if best.status == "diverged":
                failed = self._diverged_trial(
                    setting, specification, f"{own}, from seed {members[-1].seed}: {best.problem}"
                )
                for one in self.checkpoints(replace(failed, members=tuple(members))):
                    Checkpoint(one, resume=False).remove()
                return failed
        plan, model, length = self.plan, self._model(setting), setting.training.max_length
        training = combine_trials(
            model,
            plan.kind,
            plan.data.definition,
            self._splits.get("train", length),
            self._splits.get("validation", length),
            setting.training,
            plan.metric,
            trials,
        )
        trial = self._finished_trial(setting, specification, training, model)
        others = sum(one.seconds for member in members for one in member.discarded)
        seconds = round(trial.seconds + others, 3)
        return replace(trial, members=tuple(members), seconds=seconds)

    def _train_member(self, setting: Setting, caption: str) -> list[Trial]:
        """Train a member of an ensemble, and again from other seeds while it collapses.

        Of these trials, only the best keeps its weights.
        """
        trials = [self._train(setting, self.specification(setting), None, caption)]
        for number, other in enumerate(setting.retries, start=1):
            best = max(trials, key=lambda trial: trial.rank(self.plan.metric))
            if best.status != "collapsed":
                break
            again = f"{caption}, again from seed {other.training.seed} ({number}/{RETRIES})"
            trials.append(self._train(other, self.specification(other), None, again))
        best = max(trials, key=lambda trial: trial.rank(self.plan.metric))
        return [trial if trial is best else release_weights(trial) for trial in trials]

    def _run(
        self,
        setting: Setting,
        *,
        anchor: Anchor | None = None,
        checkpoint: Checkpoint | None = None,
        should_prune: ShouldPrune | None = None,
        caption: str = "",
    ) -> tuple[TaskModel, Training]:
        """Train a setting, and return the model with the weights to keep."""
        plan, spec = self.plan, setting.training
        model = self._member(setting)
        if setting.parents:
            spec = self._starts[setting.parents].shortened(spec)
        data = self._splits.get("train", spec.max_length)
        if anchor is not None:
            data = replace(data, encoded=anchor.added_to(data.encoded, plan.kind))
        given = (
            model,
            plan.kind,
            plan.data.definition,
            data,
            self._splits.get("validation", spec.max_length),
            spec,
            plan.metric,
        )
        if spec.contrastive is not None:
            training = train_contrastive(*given, progress=self.progress, caption=caption)
            return model, training
        training = train(
            *given,
            loss=None if anchor is None else anchor.loss(plan.kind),
            keep_last=self.keep_last,
            checkpoint=checkpoint,
            should_prune=should_prune,
            progress=self.progress,
            caption=caption,
        )
        return model, training

    def _finished_trial(
        self, setting: Setting, specification: str, training: Training, model: StoredModel
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
            truncated=self._splits.truncated(setting.training.max_length),
            metrics=tuple(measure(kind, "validation", predictions, columns, definition)),
            parameters=sum(tensor.numel() for tensor in weights.values()),
            weights=weights,
            predictions=predictions,
        )

    def _diverged_trial(self, setting: Setting, specification: str, problem: str) -> Trial:
        # A diverged trial makes no predictions, so it gets the score of constant predictions.
        plan = self.plan
        columns, definition = plan.data.validation.columns, plan.data.definition
        baseline = plan.kind.constant_baseline(columns, definition)
        definition = plan.kind.tune(baseline, columns, definition)
        return Trial(
            setting=setting,
            specification=specification,
            status="diverged",
            score=plan.kind.scores(baseline, columns, definition)[plan.metric],
            loss=float("inf"),
            definition=definition,
            truncated=self._splits.truncated(setting.training.max_length),
            problem=problem,
        )

    def _model(self, setting: Setting) -> StoredModel:
        return joined([self._member(member) for member in setting.members], self.plan.kind)

    def _member(self, setting: Setting) -> TaskModel:
        model = task_model(
            self.backbone,
            self.plan.kind,
            self.plan.data.definition,
            setting.method.name,
            setting.method.options,
            setting.training.seed,
        )
        if setting.parents:
            model.load_tensors(self._starts[setting.parents].values(model.trained_tensors()))
        return model


def release_weights(trial: Trial) -> Trial:
    """Return a copy of a trial without weights and predictions, so that their memory is freed."""
    return replace(trial, weights=None, predictions=None)
