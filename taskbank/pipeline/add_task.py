"""Adds a task: data, trials, evaluation, storage, verification, in this order.

Everything that can be wrong with the arguments is found before anything expensive starts, and no
adapter is in the bank before it is complete.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.checks import ANY_DROP, check_alias
from taskbank.errors import InputError
from taskbank.pipeline.opening import backbone_for, check_recorded_place, open_if_there
from taskbank.pipeline.storage import store, trial_recorder
from taskbank.promotion.diff import Diff, diff
from taskbank.promotion.requirements import found_ref
from taskbank.specs import TaskSpec
from taskbank.training.plan import TaskPlan, is_stored, plan_task
from taskbank.training.train_task import Result, train_task
from taskbank.training.trial import trial_from_record
from taskbank.training.tune import fit_to_backbone
from taskbank.verify.report import Afterwards, Report
from taskbank.verify.verify import verify_afterwards


@dataclass(frozen=True)
class Added:
    """A task that was added, or measured.

    Attributes:
        record: the adapter as the bank has it; none if only its scores are stored.
        trial: the trial that it came from.
        trials: every trial that was run for it, in order.
        training: its epochs, and which was best.
        verification: of the whole bank; none if it was not requested.
        worse: how it differs from the version that it must not be worse than, if it is worse.
    """

    record: AdapterRecord | None
    trial: TrialRecord
    trials: tuple[TrialRecord, ...]
    training: Result
    verification: Report | None
    worse: Diff | None = None


def add_task(
    bank: Bank | str,
    name: TaskSpec | str,
    train_data: str | None = None,
    *,
    backbone: str | None = None,
    new_version: bool = False,
    alias: str | None = None,
    must_not_regress: bool = False,
    device: str | None = None,
    verify: Afterwards = "changed",
    resume: bool = False,
    progress: bool = False,
    **fields: Any,
) -> Added:
    """Train a task on labelled text and record it in a bank.

    Args:
        bank: an open bank, or a bank's URL; with a URL and `backbone` the bank is made if it does
            not exist.
        name: the task's name, or its whole specification.
        train_data: the training data, where only a name is given; see `TaskSpec.train`.
        backbone: where the backbone is; none means the only one that the bank knows.
        new_version: whether the task may exist already.
        alias: a name for the added version from now on.
        must_not_regress: leave the alias where it is if the new version is worse than the one that
            the alias names, or else the newest: if the task's metric dropped by more than its
            tolerance, or by more than chance explains.
        device: to compute on; none means the best there is.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: continue from what an interrupted run of the same task left.
        progress: show bars, if the error stream is a terminal.
        fields: the other fields of `TaskSpec`, where only a name is given.

    Raises:
        InputError: if an argument, a file or the backbone is not usable.
        ConflictError: if the task exists and no new version was requested.
        BackboneMismatchError: if the backbone is not the recorded one.
        TrainingError: if training gave no usable adapter.
    """
    spec = _spec(name, train_data, fields)
    if must_not_regress and not new_version:
        raise InputError("--must-not-regress compares a version with one before: add --new-version")
    stored = is_stored(spec.method, keep_weights=spec.keep_weights)
    if alias is not None:
        check_alias(alias)
        if not stored:
            raise InputError(
                f"method {spec.method!r} stores no weights, so there is nothing for an alias to "
                "name: add --keep-weights"
            )
    with ExitStack() as stack:
        opened = bank if isinstance(bank, Bank) else open_if_there(bank, backbone, stack)
        if opened is not None and stored:
            opened.check_addable(spec.name, spec.kind, new_version=new_version)
        plan = plan_task(spec)
        loaded = backbone_for(opened, backbone, device)
        fit_to_backbone(plan, loaded)  # raises before a bank is made if the inputs are too long
        if opened is None:
            opened = stack.enter_context(create_bank(str(bank)))
            opened.add_backbone(loaded.identity)
        before = None
        if must_not_regress:
            before = found_ref(opened, f"{spec.name}@{alias}") or found_ref(opened, spec.name)
        added = carry_out(
            opened,
            loaded,
            plan,
            new_version=new_version,
            verify=verify,
            resume=resume,
            progress=progress,
        )
        if added.record is not None and before is not None:
            change = diff(opened, before, added.record.ref, backbone=loaded)
            if change.worse(opened.tolerances().get(spec.name, ANY_DROP)):
                return replace(added, worse=change)
        if added.record is not None and alias is not None:
            opened.alias(added.record.ref, alias)
        return added


def carry_out(
    bank: Bank,
    backbone: Backbone,
    plan: TaskPlan,
    *,
    new_version: bool = False,
    verify: Afterwards = "changed",
    resume: bool = False,
    progress: bool = False,
) -> Added:
    """Train a planned task on a loaded backbone, and record it.

    Args:
        bank: an open bank.
        backbone: frozen; it is unchanged afterwards.
        plan: the task.
        new_version: whether the task may exist already.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: continue from what an interrupted run of the same task left.
        progress: show bars, if the error stream is a terminal.

    Raises:
        InputError: if the requested inputs are longer than the backbone takes.
        ConflictError: if the task exists and no new version was requested.
        BackboneMismatchError: if the bank knows another backbone from the same place.
        TrainingError: if training gave no usable adapter.
    """
    check_recorded_place(bank, backbone)
    result = train_task(
        plan,
        backbone,
        known=[trial_from_record(one) for one in bank.trials(plan.name)] if resume else (),
        record=trial_recorder(bank, plan, backbone),
        resume=resume,
        progress=progress,
    )
    record = store(bank, plan, backbone, result, new_version=new_version)
    result.remove_checkpoints()
    recorded = {one.specification: one for one in bank.trials(plan.name)}
    return Added(
        record,
        recorded[result.trial.specification],
        tuple(recorded[one.specification] for one in result.trials),
        result,
        verify_afterwards(bank, verify, backbone=backbone, progress=progress),
    )


def _spec(name: TaskSpec | str, train_data: str | None, fields: dict[str, Any]) -> TaskSpec:
    if isinstance(name, TaskSpec):
        if train_data is not None or fields:
            given = ", ".join(["train_data"] * (train_data is not None) + list(fields))
            raise InputError(f"{given} and a TaskSpec were given: set these fields in the TaskSpec")
        return name
    if train_data is None:
        raise InputError(f"task {name!r} has no training data: give it after the name")
    known = {name: value for name, value in fields.items() if value is not None}
    return TaskSpec.of(known | {"name": name, "train": train_data})
