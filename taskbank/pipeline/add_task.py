"""Adds a task: data, trials, evaluation, storage, verification, in this order.

Everything that can be wrong with the arguments is found before anything expensive starts, and no
adapter is in the bank before it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.adapters import check_addable
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, TrialRecord
from taskbank.checks import ANY_DROP, check_alias
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.pipeline.new_adapter import new_adapter
from taskbank.pipeline.opening import backbone_for, check_recorded_place, open_if_there
from taskbank.promotion.diff import Diff, diff
from taskbank.promotion.requirements import found_ref
from taskbank.training.loop import Training
from taskbank.training.plan import TaskPlan, is_stored, plan_task
from taskbank.training.task_data import Sources
from taskbank.training.trainer import Trainer
from taskbank.training.tune import fitted, tune
from taskbank.verify.report import Afterwards, Report
from taskbank.verify.verify import verify_afterwards


@dataclass(frozen=True)
class Added:
    """A task that was added, or measured.

    Attributes:
        record: the adapter as the bank has it; none where the method is only for measuring and
            its weights were not asked to be kept.
        trial: the trial that it is of.
        trials: every trial that was run for it, in order.
        training: every epoch of that trial, and which was best.
        verification: of the whole bank; none if it was not wanted.
        worse: how it differs from the version that it must not be worse than, if it is.
    """

    record: AdapterRecord | None
    trial: TrialRecord
    trials: tuple[TrialRecord, ...]
    training: Training
    verification: Report | None
    worse: Diff | None = None


def add_task(
    bank: Bank | str,
    name: str,
    train_data: str,
    *,
    validation: str | None = None,
    test: str | None = None,
    kind: str = "single",
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    rows: int | None = None,
    metric: str | None = None,
    positive: str | None = None,
    method: str = "houlsby",
    options: Mapping[str, Json] | None = None,
    training: Mapping[str, Json] | None = None,
    search: Mapping[str, Sequence[Json]] | None = None,
    seeds: int = 1,
    trials: int | None = None,
    keep_trials: bool = False,
    keep_weights: bool = False,
    backbone: str | None = None,
    new_version: bool = False,
    alias: str | None = None,
    must_not_regress: bool = False,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    device: str | None = None,
    verify: Afterwards = "changed",
    resume: bool = False,
    progress: bool = False,
) -> Added:
    """Train a task on labelled text and record it in a bank.

    Args:
        bank: an open bank, or a bank's URL; with a URL and `backbone` it is made if need be.
        name: of the task.
        train_data: a file, a folder or `hf:NAME[/CONFIG][:SPLIT]`; see `taskbank.data.sources`.
        validation: the same; none means that a stratified tenth of train is held out.
        test: the same, scored once at the end; none means that validation is the score.
        kind: `single`, `pair`, `regression`, `multilabel`, `span` or `tagging`.
        text: the first column of the input, where it is not called as the kind calls it.
        text_pair: the second, likewise.
        label: the column of what is to be predicted, likewise.
        rows: rows of train that are used, a stratified sample; none means all.
        metric: what the task is chosen and checked by; none means the kind's usual one.
        positive: of two classes, the one that F1 is about; none means the last.
        method: how the task is adapted.
        options: options of the method that differ from its defaults.
        training: fields of `TrainingSpec` that differ from what is recommended.
        search: values to try, by training field or option of the method; the best trial by
            validation is recorded.
        seeds: how many seeds each setting is tried from.
        trials: how many settings a sampler picks (extra `search`); none means every one.
        keep_trials: store the weights of every trial, and not only its scores.
        keep_weights: store weights also where the method is only for measuring (`full`).
        backbone: where the backbone is; none means the only one that the bank knows.
        new_version: whether the task may be there already.
        alias: that names what is added from now on.
        must_not_regress: leave the alias where it is if the new version is worse than the one
            that the alias names, or else the newest: if the task's metric is lower by more than
            its tolerance, or than chance explains.
        description: free text.
        tags: keys and values to find it by.
        device: to compute on; none means the best there is.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: go on from what an interrupted run of the same left.
        progress: show bars, if the error stream is a terminal.

    Raises:
        InputError: if an argument, a file or the backbone is not usable.
        ConflictError: if the task is there and no new version was asked for.
        BackboneMismatchError: if the backbone is not the recorded one.
        TrainingError: if training gave no usable adapter.
    """
    if must_not_regress and not new_version:
        raise InputError("--must-not-regress compares a version with one before: add --new-version")
    if alias is not None:
        check_alias(alias)
        if not is_stored(method, keep_weights=keep_weights):
            raise InputError(
                f"method {method!r} stores nothing that an alias could name: add --keep-weights"
            )
    with ExitStack() as stack:
        opened = bank if isinstance(bank, Bank) else open_if_there(bank, backbone, stack)
        if opened is not None and is_stored(method, keep_weights=keep_weights):
            check_addable(name, kind, opened.catalog.kind_of(name), new_version=new_version)
        plan = plan_task(
            name,
            Sources(train_data, validation, test, text, text_pair, label, rows),
            kind=kind,
            metric=metric,
            positive=positive,
            method=method,
            options=options,
            training=training,
            search=search,
            seeds=seeds,
            trials=trials,
            keep_trials=keep_trials,
            keep_weights=keep_weights,
            new_version=new_version,
            description=description,
            tags=tags,
        )
        loaded = backbone_for(opened, backbone, device)
        fitted(plan, loaded)  # says now that inputs are too long for it
        if opened is None:
            opened = stack.enter_context(create_bank(str(bank)))
            opened.add_backbone(loaded.identity)
        before = None
        if must_not_regress:
            before = found_ref(opened, f"{name}@{alias}") or found_ref(opened, name)
        added = carry_out(opened, loaded, plan, verify=verify, resume=resume, progress=progress)
        if added.record is not None and before is not None:
            change = diff(opened, before, added.record.ref, backbone=loaded)
            if change.worse(opened.tolerances().get(name, ANY_DROP)):
                return replace(added, worse=change)
        if added.record is not None and alias is not None:
            opened.alias(added.record.ref, alias)
        return added


def carry_out(
    bank: Bank,
    backbone: Backbone,
    plan: TaskPlan,
    *,
    verify: Afterwards = "changed",
    resume: bool = False,
    progress: bool = False,
) -> Added:
    """Train a planned task on a loaded backbone, and record it.

    Args:
        bank: an open bank.
        backbone: frozen, and carrying nothing.
        plan: what was asked for.
        verify: level at which the whole bank is verified afterwards, or `none`.
        resume: go on from what an interrupted run of the same left.
        progress: show bars, if the error stream is a terminal.

    Raises:
        InputError: if the inputs asked for are longer than the backbone takes.
        ConflictError: if the task is there and no new version was asked for.
        BackboneMismatchError: if the bank knows another backbone from the same place.
        TrainingError: if training gave no usable adapter.
    """
    check_recorded_place(bank, backbone)
    trainer = Trainer(bank, backbone, plan, resume=resume, progress=progress)
    tuned = tune(trainer, fitted(plan, backbone))
    predictions, metrics = trainer.evaluate(tuned.trained)
    # The trial is in the bank as it scored on validation; here it is again, scored on test.
    trial = replace(tuned.trained.new, metrics=metrics)
    scored = None if plan.data.test is None else trial
    record = None
    if plan.stored:
        new = new_adapter(plan, trial, tuned.trained.weights, predictions)
        record = bank.put(new, new_version=plan.new_version, trial=scored)
    elif scored is not None:
        bank.put_trial(scored)
    for one in tuned.trials:  # one that was resumed may have left a state as well
        trainer.forget(one)
    recorded = {one.specification: one for one in bank.trials(plan.name)}
    return Added(
        record,
        recorded[tuned.best.specification],
        tuple(recorded[one.specification] for one in tuned.trials),
        tuned.trained.training,
        verify_afterwards(bank, verify, backbone=backbone, progress=progress),
    )
