"""Finds where a task starts whose specification leaves that to `auto`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.folds import assign_folds
from taskbank.data.row_digests import digests_of
from taskbank.data.splits import sample
from taskbank.errors import InputError
from taskbank.pipeline.suggest import FOLDS, ROWS, Suggestions, compare
from taskbank.specs import TrainingSpec
from taskbank.training.plan import TaskPlan
from taskbank.training.start import read_starts
from taskbank.training.task_data import TaskData

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.methods.method import Method

MOST = 3  # versions that are tried out by training


def find_starts(bank: Bank, backbone: Backbone, plan: TaskPlan) -> tuple[TaskPlan, Suggestions]:
    """Return a plan whose further trials start from the versions that help, and what was found.

    Only training rows are looked at, so that validation has not chosen what it judges. A version
    that was trained on inputs of validation or test is left out: it would know the answers.

    Args:
        bank: an open bank.
        backbone: the backbone to train on.
        plan: a plan whose specification has the start `AUTO`.

    Raises:
        InputError: if there are too few training rows to compare versions.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    candidates = _candidates(bank, backbone, plan)
    found = compare(
        bank, backbone, plan.kind, _sampled(plan), candidates, len(candidates), tried=True
    )
    evaluated = {
        row.inputs
        for examples in plan.data.evaluated_splits.values()
        for row in digests_of(examples, plan.kind.label.name)
    }
    unseen = (one for one in found.versions if not _was_trained_on(bank, bank[one.ref], evaluated))
    found = replace(found, versions=tuple(islice(unseen, MOST)))
    starts = tuple(
        start
        for version in found.versions
        for start in read_starts(bank, replace(plan.spec, start=version.ref))
    )
    return replace(plan, starts=starts), found


def _candidates(bank: Bank, backbone: Backbone, plan: TaskPlan) -> list[AdapterRecord]:
    """Return the newest version of every other task whose adapter has the shape of the plan's.

    Versions of the task itself may have been trained on rows that now are validation data.
    """
    wanted = plan.base.method
    method: Method = plugins.load("methods", wanted.name)
    newest = {
        record.task: record
        for record in bank.adapters(method=wanted.name, backbone=backbone.identity.fingerprint)
        if record.task != plan.name
        and record.ensemble == 1  # of several adapters, no training starts
        and method.complete(record.options) == wanted.options
    }
    distinct: dict[str, AdapterRecord] = {}  # of copies, the oldest
    for record in newest.values():
        distinct.setdefault(record.digest, record)
    return list(distinct.values())


def _was_trained_on(bank: Bank, record: AdapterRecord, inputs: Collection[bytes]) -> bool:
    """Return whether a version was trained on one of some inputs, which are given by digest.

    It is not known of a version that an earlier taskbank recorded, without digests of its rows.
    """
    if record.row_digests is None:
        return False
    return any(row.inputs in inputs for row in bank.row_digests(record).rows)


def _sampled(plan: TaskPlan) -> TaskData:
    """Return a sample of the training rows, with folds."""
    kind, train, label = plan.kind, plan.data.train, plan.kind.label.name
    rows = sample(train, kind.strata(train.columns), ROWS, TrainingSpec.seed)
    different = len(np.unique(equal_inputs(rows, label)))
    if different < FOLDS:
        raise InputError(
            f"{train.origin} has {different} different inputs, and --from auto needs at least "
            f"{FOLDS} to compare versions: leave --from out"
        )
    fold_of = assign_folds(rows, label, kind.strata(rows.columns), FOLDS, TrainingSpec.seed)
    return TaskData(plan.data.definition, rows, rows, None, {}, tuple(fold_of.tolist()))
