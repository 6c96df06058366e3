"""Adds a task: reads its data, runs its trials, evaluates, stores and verifies, in this order.

Invalid arguments are reported before any expensive step, and an adapter enters the bank only when
it is complete.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.checks import ANY_DROP, check_alias
from taskbank.errors import InputError
from taskbank.model.load import check_backbone_source
from taskbank.pipeline.auto_start import find_starts
from taskbank.pipeline.opening import open_if_exists, resolve_backbone
from taskbank.pipeline.storage import store, train_recorded
from taskbank.pipeline.suggest import Suggestions
from taskbank.promotion.diff import Diff, diff
from taskbank.promotion.requirements import find_ref
from taskbank.specs import TaskSpec
from taskbank.training.plan import TaskPlan, is_stored, plan_task
from taskbank.training.start import AUTO, read_starts
from taskbank.training.train_task import Result
from taskbank.training.tune import fit_to_backbone
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


def add_task(
    bank: Bank | str,
    name: TaskSpec | str,
    train_data: Any = None,
    *,
    backbone: str | os.PathLike[str] | None = None,
    new_version: bool = False,
    alias: str | None = None,
    must_not_regress: bool = False,
    device: str | None = None,
    verify: LevelAfterAdding = "changed",
    resume: bool = False,
    progress: bool = False,
    **fields: Any,
) -> Added:
    """Train a task on labelled text and record it in a bank.

    Args:
        bank: an open bank, or a bank's URL; given a URL and `backbone`, a bank that does not exist
            is created.
        name: the task's name, or its complete specification.
        train_data: the training data if `name` is only a name: what `TaskSpec.train` takes, a
            `Path`, or data in memory: a data frame, a `Dataset`, an Arrow table or a list of
            records. The fields `validation` and `test` take the same.
        backbone: the backbone's source; None means the only backbone of the bank.
        new_version: whether to add a version if the task already exists.
        alias: the alias to move to the added version.
        must_not_regress: do not move the alias if the new version is worse than the version that
            the alias names, or, without such a version, than the newest. It is worse if the task's
            metric dropped by more than its tolerance, or by more than chance explains.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: whether to continue from the checkpoints of an interrupted run of the same task.
        progress: whether to show progress bars if stderr is a terminal.
        fields: the other fields of `TaskSpec` if `name` is only a name.

    Raises:
        InputError: if an argument, a file or the backbone is invalid.
        ConflictError: if the task exists and `new_version` is false.
        BackboneMismatchError: if the backbone differs from the recorded one.
        TrainingError: if training produced no usable adapter.
    """
    spec = _spec(name, train_data, fields)
    if must_not_regress and not new_version:
        raise InputError(
            "--must-not-regress compares a new version with an earlier one: add --new-version"
        )
    if must_not_regress and spec.folds is not None:
        raise InputError(
            "--must-not-regress compares versions on data that neither was trained on, and with "
            "--folds the new one is trained on all rows: leave one of them out, and compare them "
            "with taskbank score on new data"
        )
    stored = is_stored(spec.method, keep_weights=spec.keep_weights)
    if alias is not None:
        check_alias(alias)
        if not stored:
            raise InputError(
                f"method {spec.method!r} stores no weights, so there is no version for an alias "
                "to name: add --keep-weights"
            )
    with ExitStack() as stack:
        opened = bank if isinstance(bank, Bank) else open_if_exists(bank, backbone, stack)
        if opened is not None and stored:
            opened.check_can_add(spec.name, spec.kind, new_version=new_version)
        plan = plan_task(spec, read_starts(opened, spec))
        loaded = resolve_backbone(opened, backbone, device)
        fit_to_backbone(
            plan, loaded
        )  # raises before the bank is created if the inputs are too long
        if opened is None:
            opened = stack.enter_context(create_bank(str(bank)))
            opened.add_backbone(loaded.identity)
        previous = None
        if must_not_regress:
            previous = find_ref(opened, f"{spec.name}@{alias}") or find_ref(opened, spec.name)
        added = train_and_store(
            opened,
            loaded,
            plan,
            new_version=new_version,
            verify=verify,
            resume=resume,
            progress=progress,
        )
        if added.record is not None and previous is not None:
            change = diff(opened, previous, added.record.ref, backbone=loaded)
            if change.worse(opened.tolerances().get(spec.name, ANY_DROP)):
                return replace(added, worse=change)
        if added.record is not None and alias is not None:
            opened.alias(added.record.ref, alias)
        return added


def train_and_store(
    bank: Bank,
    backbone: Backbone,
    plan: TaskPlan,
    *,
    new_version: bool = False,
    once: bool = False,
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
    result = train_recorded(bank, plan, backbone, resume=resume, progress=progress)
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


def _spec(name: TaskSpec | str, train_data: Any, fields: dict[str, Any]) -> TaskSpec:
    if isinstance(name, TaskSpec):
        if train_data is not None or fields:
            given = ", ".join(["train_data"] * (train_data is not None) + list(fields))
            raise InputError(f"{given} and a TaskSpec were given: set these fields in the TaskSpec")
        return name
    if train_data is None:
        raise InputError(f"task {name!r} has no training data: pass it after the name")
    values = {key: value for key, value in fields.items() if value is not None}
    return TaskSpec.of(values | {"name": name, "train": train_data})
