"""Trains a planned task on a loaded backbone, and stores it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.model.load import check_backbone_source
from taskbank.pipeline.auto_start import find_starts
from taskbank.pipeline.storage import store, train_recorded
from taskbank.pipeline.suggest import Suggestions
from taskbank.promotion.diff import Diff
from taskbank.training.plan import TaskPlan
from taskbank.training.start import AUTO
from taskbank.training.train_task import Result
from taskbank.training.trial import Trial
from taskbank.verify.report import LevelAfterAdding, Report
from taskbank.verify.verify import verify_after_adding


@dataclass(frozen=True)
class Added:
    """The result of adding or measuring a task.

    Attributes:
        record: the stored adapter's record; None if only its scores are stored.
        trial: the record of the best trial.
        trials: the record of every trial that was run for the task, in order.
        training: the result of the training, including every epoch of the best trial.
        verification: the report on the whole bank; None if no verification was requested.
        suggested: what was found for the start `auto`; None without it.
        worse: the comparison with the version that the task must not be worse than; None if the
            task is not worse, or if no comparison was requested.
    """

    record: AdapterRecord | None
    trial: TrialRecord
    trials: tuple[TrialRecord, ...]
    training: Result
    verification: Report | None
    suggested: Suggestions | None = None
    worse: Diff | None = None


def train_and_store(
    bank: Bank,
    backbone: Backbone,
    plan: TaskPlan,
    *,
    new_version: bool = False,
    once: bool = False,
    known: Iterable[Trial] = (),
    verify: LevelAfterAdding = "changed",
    resume: bool = False,
    progress: bool = False,
) -> Added:
    """Train a planned task on a loaded backbone, and store it.

    Args:
        bank: an open bank.
        backbone: the frozen backbone, which is not changed.
        plan: the planned task.
        new_version: whether to add a version if the task already exists.
        once: whether an adapter that an equal request has stored in the meantime is enough.
        known: trials of the task that were trained elsewhere and are recorded.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: whether to continue from the checkpoints of an interrupted run of the same task.
        progress: whether to show progress bars if stderr is a terminal.

    Raises:
        InputError: if the requested inputs are longer than the backbone's maximum.
        ConflictError: if the task exists and `new_version` is false.
        BackboneMismatchError: if the bank has recorded another backbone from the same source.
        TrainingError: if training produced no usable adapter.
    """
    check_backbone_source(bank, backbone)
    suggested = None
    if plan.spec.start == AUTO:
        plan, suggested = find_starts(bank, backbone, plan)
    result = train_recorded(bank, plan, backbone, known=known, resume=resume, progress=progress)
    course = {} if suggested is None else {"suggested": suggested.to_json()}
    record = store(bank, plan, backbone, result, new_version=new_version, once=once, course=course)
    result.remove_checkpoints()
    trials = {trial.specification: trial for trial in bank.trials(plan.name)}
    return Added(
        record,
        trials[result.trial.specification],
        tuple(trials[trial.specification] for trial in result.trials),
        result,
        verify_after_adding(bank, verify, backbone=backbone, progress=progress),
        suggested,
    )
