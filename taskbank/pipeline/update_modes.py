"""How an update trains: anew, on from its parent, or whichever of the two is as good.

- `retrain` starts untrained, as if the task were added with all rows.
- `continue` starts from the parent's adapter and head, and trains fewer epochs on the same rows.
- `auto` continues, and trains anew as well if that made the validation score of the old or of the
  new rows drop. An ensemble is trained anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, Parent
from taskbank.digests import Json
from taskbank.errors import TrainingError
from taskbank.kinds.metrics import metric_drop
from taskbank.model.load import encode_for, load_model
from taskbank.model.predict import predict_examples, predict_outputs
from taskbank.model.trunk import add_trunk_states
from taskbank.pipeline.storage import train_recorded
from taskbank.promotion.paired import comparable_rows
from taskbank.specs import TaskSpec
from taskbank.training.anchor import Anchor
from taskbank.training.plan import TaskPlan, plan_task
from taskbank.training.start import Start, continued
from taskbank.training.task_data import TaskData
from taskbank.training.train_task import Result
from taskbank.verify.significance import exceeds_tolerance

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.kinds.kind import Kind

Mode = Literal["retrain", "continue", "auto"]
UNIT = ("mean", "std")  # the settings that give the outputs of a regression their unit


@dataclass(frozen=True)
class Trained:
    """A trained update.

    Attributes:
        plan: the plan of the training.
        result: its result.
        course: how it was trained, as the course of the new version has it.
    """

    plan: TaskPlan
    result: Result
    course: Mapping[str, Json]


@dataclass(frozen=True)
class UpdateTraining:
    """Trains a new version of a task.

    Attributes:
        bank: an open bank.
        parent: the version that is updated.
        spec: the specification of the new version.
        data: its data. Of every evaluated split, the first rows are those of the parent's split.
        backbone: the parent's backbone.
        weight: the weight of the term that holds what the parent answers right; None for no term.
        resume: whether to use the trials and checkpoints of an interrupted run.
        progress: whether to show progress bars if stderr is a terminal.
    """

    bank: Bank
    parent: AdapterRecord
    spec: TaskSpec
    data: TaskData
    backbone: Backbone
    weight: float | None
    resume: bool
    progress: bool

    def train(self, mode: Mode) -> Trained:
        """Train the version.

        Args:
            mode: how.

        Raises:
            TrainingError: if training produced no usable adapter.
            DamagedError: if stored rows or bytes differ from what was recorded.
        """
        if mode == "auto" and self.parent.ensemble == 1:
            return self._as_good()
        return self._train(continued(self.bank, self.parent) if mode == "continue" else None)

    def _as_good(self) -> Trained:
        """Continue the parent; train anew, too, unless that is as good as the parent."""
        try:
            first = self.train("continue")
        except TrainingError:
            return self.train("retrain")
        if not self._drops(first.result):
            return first
        try:
            second = self.train("retrain")
        except TrainingError:
            return first
        metric = first.plan.metric
        both = sorted((first, second), key=lambda one: one.result.trial.rank(metric))
        both[0].result.remove_checkpoints()
        return both[1]

    def _train(self, start: Start | None) -> Trained:
        data = self.data if start is None and self.weight is None else self._in_parents_unit
        plan = plan_task(self.spec, data=data, continued=start, anchor=self._anchor)
        result = train_recorded(
            self.bank, plan, self.backbone, resume=self.resume, progress=self.progress
        )
        mode = "retrain" if start is None else "continue"
        anchor = {} if self.weight is None else {"anchor": self.weight}
        return Trained(plan, result, {"mode": mode, **anchor})

    def _drops(self, result: Result) -> bool:
        """Return whether the validation score of the old or of the new rows is below the parent's.

        Rows with a label that the parent does not have are left out.
        """
        parent, kind, examples = self.parent, self._kind, self.data.validation
        encoded = encode_for(parent, self.backbone, examples.columns)
        before = predict_examples(load_model(self.bank, parent, self.backbone), kind, encoded)
        after, of = result.predictions["validation"], kind.examples_of(examples.columns)
        first_new = next(split.rows for split in parent.splits if split.name == "validation")
        tolerance = self.bank.tolerances().get(parent.task) or 0.0
        for places in (range(first_new), range(first_new, len(examples))):
            part = examples.select(places, examples.origin)
            rows = [places[row] for row in comparable_rows(kind, parent, part)]
            if not rows:
                continue
            columns, own = examples.select(rows, examples.origin).columns, np.isin(of, rows)
            scores = [
                kind.scores(predictions[own], columns, definition)[parent.metric]
                for predictions, definition in (
                    (before, parent.definition),
                    (after, result.definition),
                )
            ]
            if exceeds_tolerance(metric_drop(parent.metric, *scores), tolerance):
                return True
        return False

    @cached_property
    def _kind(self) -> Kind:
        kind: Kind = plugins.load("kinds", self.parent.kind)
        return kind

    @cached_property
    def _in_parents_unit(self) -> TaskData:
        """The data, with the numbers of a regression in the unit of the parent's outputs."""
        definition, known = self.data.definition, self.parent.settings
        unit = {name: known[name] for name in UNIT if name in known}
        return replace(
            self.data, definition=replace(definition, settings={**definition.settings, **unit})
        )

    @cached_property
    def _anchor(self) -> Anchor | None:
        """The parent's outputs for the training data; None if they are not held."""
        if self.weight is None:
            return None
        parent, data, kind = self.parent, self._in_parents_unit, self._kind
        model = load_model(self.bank, parent, self.backbone)
        encoded = kind.encode(
            self.backbone.tokenizer,
            data.train.columns,
            data.definition,
            parent.training["max_length"],
            labelled=True,
        )
        outputs = predict_outputs(model, add_trunk_states(model, encoded))
        right = kind.right(outputs, encoded, parent.definition).astype(np.float32)
        return Anchor(Parent(parent.ref, parent.digest), self.weight, outputs, right)
