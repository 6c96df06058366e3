"""Stores trained tasks in the bank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewScoredSplit, NewSplit, NewTrial
from taskbank.bank.patience import store_patiently
from taskbank.bank.records import AdapterRecord, MetricRecord
from taskbank.data.row_digests import RowDigests, digests_of
from taskbank.digests import Json, digest_bytes
from taskbank.kinds.canaries import choose_canaries
from taskbank.runtime.environment import environment
from taskbank.training.plan import TaskPlan
from taskbank.training.train_task import Result, train_task
from taskbank.training.trial import Trial, trial_from_record

if TYPE_CHECKING:
    import numpy as np

    from taskbank.data.examples import Examples
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.kind import Kind

RESUME = "the training is kept: the same command with --resume goes on from there"


def trial_recorder(bank: Bank, plan: TaskPlan, backbone: Backbone) -> Callable[[Trial], None]:
    """Return a function that records a finished trial of a task."""
    return lambda trial: _put_trial(bank, _new_trial(plan, backbone, trial, trial.metrics))


def known_trials(bank: Bank, plan: TaskPlan, *, resume: bool) -> list[Trial]:
    """Return the recorded trials of a task to go on with; without `resume`, none."""
    return [trial_from_record(record) for record in bank.trials(plan.name)] if resume else []


def train_recorded(
    bank: Bank,
    plan: TaskPlan,
    backbone: Backbone,
    *,
    known: Iterable[Trial] = (),
    resume: bool,
    progress: bool,
) -> Result:
    """Train a planned task, and record every trial as soon as it has ended.

    Args:
        bank: an open bank.
        plan: the planned task.
        backbone: the backbone to train on.
        known: trials of the task that were trained elsewhere and are recorded.
        resume: whether to use the trials and checkpoints of an interrupted run.
        progress: whether to show progress bars if stderr is a terminal.

    Raises:
        InputError: if the requested inputs are longer than the backbone's maximum.
        TrainingError: if training produced no usable adapter.
    """
    return train_task(
        plan,
        backbone,
        known=[*known_trials(bank, plan, resume=resume), *known],
        record=trial_recorder(bank, plan, backbone),
        resume=resume,
        progress=progress,
    )


def new_split(
    name: str, kind: Kind, examples: Examples, predictions: np.ndarray, definition: Definition
) -> NewSplit:
    """Return a split to store, with the predictions of its examples.

    Args:
        name: the split's name.
        kind: the task's kind.
        examples: its examples.
        predictions: their predictions.
        definition: the task's definition.
    """
    return NewSplit(
        name,
        examples.origin,
        len(examples),
        examples.to_bytes(),
        save_arrays({"logits": predictions}),
        choose_canaries(kind, predictions, examples.columns, definition),
    )


def store(
    bank: Bank,
    plan: TaskPlan,
    backbone: Backbone,
    result: Result,
    *,
    new_version: bool,
    once: bool = False,
    scored: tuple[NewScoredSplit, ...] = (),
    course: Mapping[str, Json] | None = None,
    after: int | None = None,
    updates: int | None = None,
) -> AdapterRecord | None:
    """Store a trained task completely, or not at all.

    The best trial was already recorded with its validation scores. If the task has a test split,
    the trial is recorded again with the scores of both splits.

    Args:
        bank: an open bank.
        plan: the planned task.
        backbone: the backbone that the task was trained on.
        result: the result of the training.
        new_version: whether to add a version if the task already exists.
        once: whether an adapter that an equal request has stored in the meantime is enough.
        scored: further splits that are recorded with the adapter.
        course: what to record of how it came about, in addition to the training.
        after: the version that must still be the newest of the task; None means any.
        updates: the version that the adapter updates, which must still be in use; None if it
            updates none.

    Returns:
        the stored adapter; None if only the task's scores are stored.

    Raises:
        ConflictError: if the task exists and `new_version` is false, if it has a newer version than
            `after`, or if `updates` is retired.
    """
    final_trial = None
    if plan.data.test is not None:
        final_trial = _new_trial(plan, backbone, result.trial, result.metrics)
    if plan.stored:
        new = _new_adapter(plan, backbone, result)
        new = replace(new, scored=scored, course={**new.course, **(course or {})})
        return _put(
            bank,
            new,
            new_version=new_version,
            once=once,
            trial=final_trial,
            after=after,
            updates=updates,
        )
    if final_trial is not None:
        _put_trial(bank, final_trial)
    return None


def _put(bank: Bank, new: NewAdapter, **how: Any) -> AdapterRecord:
    """Store an adapter as `Bank.put` does, also if the server is away for a while."""
    earlier: set[int] = set()

    def find() -> AdapterRecord | None:
        digest = digest_bytes(new.weights)
        for record in bank.adapters(task=new.task):
            if record.id not in earlier and (record.digest, record.request) == (
                digest,
                new.request,
            ):
                return record
        return None

    def put() -> AdapterRecord:
        earlier.update(record.id for record in bank.adapters(task=new.task))
        return bank.put(new, **how)

    return store_patiently(put, find, RESUME)


def _put_trial(bank: Bank, new: NewTrial) -> None:
    """Record a trial, also if the server is away for a while; a second record does no harm."""
    store_patiently(lambda: bank.put_trial(new), lambda: None, RESUME)


def _new_trial(
    plan: TaskPlan, backbone: Backbone, trial: Trial, metrics: tuple[MetricRecord, ...]
) -> NewTrial:
    keep = plan.spec.keep_trials and plan.stored and trial.weights
    return NewTrial(
        task=plan.name,
        kind=plan.kind.name,
        backbone=backbone.identity,
        specification=trial.specification,
        method=trial.setting.method,
        training=trial.setting.training,
        data=plan.data.describe(),
        definition=trial.definition,
        status=trial.status,
        metric=plan.metric,
        score=trial.score,
        metrics=metrics,
        parameters=trial.parameters,
        weights=save_tensors(dict(trial.weights)) if keep and trial.weights else None,
        environment=environment(str(backbone.device)),
        course=trial.course | {"repeats": plan.data.repeats},
        request=plan.request,
    )


def _new_adapter(plan: TaskPlan, backbone: Backbone, result: Result) -> NewAdapter:
    splits = tuple(
        new_split(name, plan.kind, examples, result.predictions[name], result.definition)
        for name, examples in plan.data.evaluated_splits.items()
    )
    trial, train = result.trial, plan.data.train
    return NewAdapter(
        task=plan.name,
        kind=plan.kind.name,
        backbone=backbone.identity,
        method=trial.setting.method,
        training=trial.setting.training,
        definition=result.definition,
        metric=plan.metric,
        split=plan.data.scored_split,
        metrics=result.metrics,
        splits=splits,
        parameters=trial.parameters,
        weights=save_tensors(dict(result.weights)),
        environment=environment(str(backbone.device)),
        course=trial.course
        | {"train": plan.data.describe()["train"], "repeats": plan.data.repeats},
        request=plan.request,
        description=plan.spec.description,
        tags=plan.spec.tags,
        row_digests=RowDigests.of(digests_of(train, plan.kind.label.name)).to_bytes(),
        kept_rows=train.to_bytes() if plan.spec.keep_rows else None,
    )
