"""The one way from a trained task into the bank."""

from __future__ import annotations

from collections.abc import Callable

from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit, NewTrial
from taskbank.bank.records import AdapterRecord, MetricRecord
from taskbank.kinds.canaries import choose_canaries
from taskbank.runtime.environment import environment
from taskbank.training.plan import TaskPlan
from taskbank.training.train_task import Result
from taskbank.training.trial import Trial


def trial_recorder(bank: Bank, plan: TaskPlan, backbone: Backbone) -> Callable[[Trial], None]:
    """Return a function that records a trial of a task as soon as it ended."""
    return lambda trial: bank.put_trial(_new_trial(plan, backbone, trial, trial.metrics))


def store(
    bank: Bank, plan: TaskPlan, backbone: Backbone, result: Result, *, new_version: bool
) -> AdapterRecord | None:
    """Store a trained task whole, or not at all.

    Its best trial was recorded with the scores of validation. If the task has a test split, the
    trial is recorded again with the scores of both splits.

    Args:
        bank: an open bank.
        plan: the task as it was planned.
        backbone: that it was trained on.
        result: of the training.
        new_version: whether the task may exist already.

    Returns:
        the stored adapter; none if only the scores of the task are stored.

    Raises:
        ConflictError: if the task exists and no new version was requested.
    """
    scored = None
    if plan.data.test is not None:
        scored = _new_trial(plan, backbone, result.trial, result.metrics)
    if plan.stored:
        return bank.put(_new_adapter(plan, backbone, result), new_version=new_version, trial=scored)
    if scored is not None:
        bank.put_trial(scored)
    return None


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
        course=trial.course,
        request=plan.request,
    )


def _new_adapter(plan: TaskPlan, backbone: Backbone, result: Result) -> NewAdapter:
    splits = tuple(
        NewSplit(
            name,
            examples.origin,
            len(examples),
            examples.to_bytes(),
            save_arrays({"logits": result.predictions[name]}),
            choose_canaries(
                plan.kind, result.predictions[name], examples.columns, result.definition
            ),
        )
        for name, examples in plan.data.evaluated_splits.items()
    )
    trial = result.trial
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
        course=trial.course,
        request=plan.request,
        description=plan.spec.description,
        tags=plan.spec.tags,
    )
