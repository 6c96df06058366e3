"""Adds a task: reads its data, runs its trials, evaluates, stores and verifies, in this order.

Invalid arguments are reported before any expensive step, and an adapter enters the bank only when
it is complete.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.checks import ANY_DROP, check_alias
from taskbank.errors import InputError
from taskbank.model.load import check_backbone_source
from taskbank.pipeline.opening import open_if_exists, resolve_backbone
from taskbank.pipeline.train_and_store import Added, train_and_store
from taskbank.pipeline.train_on_workers import train_on_workers
from taskbank.promotion.diff import diff
from taskbank.promotion.requirements import find_ref
from taskbank.specs import TaskSpec
from taskbank.training.plan import TaskPlan, is_stored, plan_task
from taskbank.training.search import Setting
from taskbank.training.start import read_starts
from taskbank.training.tune import fit_to_backbone
from taskbank.verify.report import LevelAfterAdding, check_level_after_adding
from taskbank.verify.verify import verify_after_adding
from taskbank.workers.executor import check_place, executor_for


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
    executor: str | None = None,
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
        executor: where to train and verify: `ray` or `ray://HOST:PORT`; None means this process.
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
    check_place(executor)
    check_level_after_adding(verify)
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
        base = fit_to_backbone(plan, loaded)  # before the bank is created: inputs may be too long
        if opened is None:
            opened = stack.enter_context(create_bank(str(bank)))
            opened.add_backbone(loaded.identity)
        previous = None
        if must_not_regress:
            previous = find_ref(opened, f"{spec.name}@{alias}") or find_ref(opened, spec.name)
        given: dict[str, Any] = {
            "new_version": new_version,
            "resume": resume,
            "progress": progress,
        }
        if executor is None:
            added = train_and_store(opened, loaded, plan, verify=verify, **given)
        else:
            check_backbone_source(opened, loaded)
            added = _train_elsewhere(executor, opened, loaded, plan, base, device, **given)
            report = verify_after_adding(
                opened, verify, device=device, executor=executor, progress=progress
            )
            added = replace(added, verification=report)
        if added.record is not None and previous is not None:
            change = diff(opened, previous, added.record.ref, backbone=loaded)
            if change.worse(opened.tolerances().get(spec.name, ANY_DROP)):
                return replace(added, worse=change)
        if added.record is not None and alias is not None:
            opened.alias(added.record.ref, alias)
        return added


def _train_elsewhere(
    executor: str,
    bank: Bank,
    backbone: Backbone,
    plan: TaskPlan,
    base: Setting,
    device: str | None,
    **given: Any,
) -> Added:
    with executor_for(executor, bank, device=device, backbone=backbone) as workers:
        chosen_device = workers.pick_device(device)
        return train_on_workers(workers, plan, base, backbone.identity, chosen_device, **given)


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
