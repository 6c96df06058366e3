"""Trains the tasks of a suite with many methods and settings; every training is done once.

Every training is a trial in a bank. A trial found there is not trained again, so an interrupted
run continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.errors import TrainingError
from taskbank.pipeline.suite import plan_entry
from taskbank.pipeline.suite_file import Entry
from taskbank.pipeline.train_and_store import Added, train_and_store
from taskbank.pipeline.train_on_workers import FinishTask, train_on_workers
from taskbank.training.plan import TaskPlan
from taskbank.training.search import Search, setting_of, settings
from taskbank.training.trainer import Trainer
from taskbank.training.trial import trial_from_record
from taskbank.training.tune import fit_to_backbone
from taskbank.workers.job import Executor

# Hyperparameters where the suite names none.
METHOD_DEFAULTS: dict[str, dict[str, Any]] = {
    "full": {"epochs": 5},
    "top-k": {"epochs": 5, "learning_rate": 3e-4},
    "layernorm": {"epochs": 8},
    "houlsby": {"epochs": 8},
}
QUICK_ROWS = 200
SEARCH_KEYS = ("search", "seeds", "trials")  # keys of a suite that the experiments decide
METHOD_KEYS = ("size", "layers", "options", "learning_rate")  # keys for the suite's own method


@dataclass(frozen=True)
class Experiment:
    """Where the trials of an experiment come from and go to.

    Attributes:
        bank: holds every trial.
        backbone: the frozen encoder.
        entries: the suite's tasks.
        seeds: number of seeds per chosen setting.
        common: suite keys that override those of every task, such as `rows`.
        output: folder for tables and figures.
        quick: whether every training is as small as possible, to try the script out.
        defaults: keys by method where the suite names none.
        workers: where to train; None means this process.
    """

    bank: Bank
    backbone: Backbone
    entries: Sequence[Entry]
    seeds: int
    common: Mapping[str, Any]
    output: Path
    quick: bool = False
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: METHOD_DEFAULTS)
    workers: Executor | None = None

    @property
    def note(self) -> str:
        """A caption for figures: the backbone and its size."""
        identity = self.backbone.identity
        size = f"{identity.parameters / 1e6:.0f} M parameters"
        return f"{identity.spec}: {identity.layers} layers, {size}"

    def plan(self, entry: Entry, method: str, **fixed: Any) -> TaskPlan:
        """Return the plan to train a task with a method, without a search.

        Args:
            entry: the task.
            method: adapter method or baseline.
            fixed: suite keys that override all others.
        """
        values = {k: v for k, v in entry.values.items() if k not in SEARCH_KEYS}
        if method != values.pop("method", "houlsby"):
            values = {k: v for k, v in values.items() if k not in METHOD_KEYS}
        values = {**self.defaults.get(method, {}), **values, "method": method}
        values |= dict(self.common) | fixed
        if self.quick:
            values |= {"epochs": 1, "rows": QUICK_ROWS}
        plan = plan_entry(replace(entry, values=values))
        return replace(plan, stored=False)

    def run(self, plan: TaskPlan) -> TrialRecord:
        """Return the best trial of a plan, scored; train only what is not in the bank."""
        found = self.finished(plan)
        if found is not None:
            return found
        trial = self._train(plan).trial
        _say(plan, trial)
        return trial

    def run_all(self, plans: Sequence[TaskPlan]) -> Iterator[None]:
        """Train plans without a search that are not in the bank, side by side if there are workers.

        Yields after each training. One that diverges is reported and left out.
        """
        missing = [plan for plan in plans if self.finished(plan) is None]
        if self.workers is None:
            for plan in missing:
                try:
                    self.run(plan)
                except TrainingError as error:
                    _say_diverged(plan, error)
                yield
            return
        jobs = [self._job(plan, self.workers) for plan in missing]
        for done in self.workers.run(jobs, caption="trainings", unit="training", progress=True):
            try:
                _say(missing[done.index], done.get().trial)
            except TrainingError as error:
                _say_diverged(missing[done.index], error)
            yield

    def _train(self, plan: TaskPlan) -> Added:
        if self.workers is None:
            return train_and_store(
                self.bank,
                self.backbone,
                plan,
                new_version=True,
                verify="none",
                resume=True,
                progress=True,
            )
        return train_on_workers(
            self.workers,
            plan,
            fit_to_backbone(plan, self.backbone),
            self.backbone.identity,
            self.workers.pick_device(None),
            new_version=True,
            resume=True,
            progress=True,
        )

    def _job(self, plan: TaskPlan, workers: Executor) -> FinishTask:
        device = workers.pick_device(None)
        return FinishTask(plan, self.backbone.identity, device, (), new_version=True, resume=True)

    def finished(self, plan: TaskPlan) -> TrialRecord | None:
        """Return the best trial of a plan if the bank has all of them and it is scored."""
        records = {trial.specification: trial for trial in self.bank.trials(plan.name)}
        known = [trial_from_record(record) for record in records.values()]
        trainer = Trainer(self.backbone, plan, known=known)
        planned = [
            trainer.specification(s)
            for s in settings(fit_to_backbone(plan, self.backbone), plan.search)
        ]
        if all(one in trainer.known for one in planned):
            best = max((trainer.known[one] for one in planned), key=lambda t: t.rank(plan.metric))
            record = records[best.specification]
            stored = not plan.stored or self.adapter(record) is not None
            if (
                best.status == "complete"
                and record.value(plan.data.scored_split) is not None
                and stored
            ):
                return record
        # A collapsed training was repeated from a seed that the plan does not name.
        if len(planned) > 1 and plan.data.scored_split == "validation":
            return None  # in a search, every trial is scored on validation
        asked = (t for t in records.values() if t.request == plan.request)
        return next((t for t in asked if t.value(plan.data.scored_split) is not None), None)

    def adapter(self, trial: TrialRecord) -> AdapterRecord | None:
        """Return the adapter of a trial, if it is stored."""
        for record in self.bank.adapters(task=trial.task, method=trial.method):
            same = (record.options, record.training) == (trial.options, trial.training)
            # The same setting on other training rows gives another adapter.
            if same and record.course["train"]["digest"] == trial.data["train"]["digest"]:
                return record
        return None


def _say(plan: TaskPlan, trial: TrialRecord) -> None:
    print(
        f"{plan.name} {plan.base.method.name} {dict(trial.options)} "
        f"rate {trial.training['learning_rate']:g} seed {trial.training['seed']}: "
        f"{trial.metric} {trial.value(plan.data.scored_split):.4f} ({trial.status})",
        flush=True,
    )


def _say_diverged(plan: TaskPlan, error: TrainingError) -> None:
    training, method = plan.base.training, plan.base.method.name
    print(f"{plan.name} {method} seed {training.seed}: {error}", flush=True)


def plan_with_setting(plan: TaskPlan, best: TrialRecord, seed: int) -> TaskPlan:
    """Return a plan that trains the setting of a search's best trial from another seed."""
    chosen = {**best.options, **best.training, "seed": seed}
    return replace(plan, base=setting_of(plan.base, chosen), search=Search())
