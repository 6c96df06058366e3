"""Adds a task: data, trials, evaluation, storage, verification, in this order.

Everything that can be wrong with the arguments is found before anything expensive starts,
and no adapter is in the bank before it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from taskbank.backbone import Backbone, load_backbone
from taskbank.bank import Bank, create_bank
from taskbank.catalog.catalog import check_addable, check_alias
from taskbank.catalog.engine import connected, revision_of
from taskbank.catalog.records import (
    AdapterRecord,
    BackboneRecord,
    NewAdapter,
    NewSplit,
    NewTrial,
    TrialRecord,
)
from taskbank.environment import pick_device
from taskbank.errors import InputError
from taskbank.inference import check_backbone, load_recorded
from taskbank.plan import TaskPlan, is_stored, plan_task
from taskbank.specs import ANY_DROP, Json
from taskbank.task_data import Sources
from taskbank.train import Training
from taskbank.trials import Trainer
from taskbank.tuning import fitted, tune
from taskbank.verify.canary import with_canaries
from taskbank.verify.diff import Diff, diff
from taskbank.verify.gate import found_ref
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


def init(
    url: str, backbone: str, *, blobs: str | None = None, device: str | None = None
) -> BackboneRecord:
    """Make a bank, or open the one that is there, and record a backbone in it.

    Args:
        url: of the bank.
        backbone: a hub id (optionally `@revision`), a folder, or `package:NAME/FOLDER`.
        blobs: where blobs go: a folder or an fsspec URL; none means into the catalog.
        device: to load the backbone on; none means the best there is.

    Raises:
        InputError: if a URL or the backbone is not usable.
        BackboneMismatchError: if the bank knows another backbone from the same place.
    """
    with connected(url) as engine:
        revision_of(engine)  # says now, not after a long load, that the URL is no bank's
    loaded = load_backbone(backbone, pick_device(device))
    with create_bank(url, blobs) as bank:
        _check_place(bank, loaded)
        return bank.add_backbone(loaded.identity)


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
    _check_place(bank, backbone)
    trainer = Trainer(bank, backbone, plan, resume=resume, progress=progress)
    tuned = tune(trainer, fitted(plan, backbone))
    predictions, metrics = trainer.evaluate(tuned.trained)
    # The trial is in the bank as it scored on validation; here it is again, scored on test.
    trial = replace(tuned.trained.new, metrics=metrics)
    scored = None if plan.data.test is None else trial
    record = None
    if plan.stored:
        new = _new_adapter(plan, trial, tuned.trained.weights, predictions)
        record = bank.put(with_canaries(new), new_version=plan.new_version, trial=scored)
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


def open_if_there(url: str, backbone: str | None, stack: ExitStack) -> Bank | None:
    """Return a bank, or none if it is not there and can be made for a backbone.

    Args:
        url: of the bank.
        backbone: where the backbone is, if it was said.
        stack: that closes the bank.

    Raises:
        NotFoundError: if there is no bank, and no backbone to make one for.
    """
    with connected(url) as engine:
        if backbone is not None and revision_of(engine) is None:
            return None
    return stack.enter_context(Bank(url))


def backbone_for(bank: Bank | None, spec: str | None, device: str | None) -> Backbone:
    """Load the backbone that was named, or the only one that a bank knows.

    Raises:
        InputError: if none was named and there is not exactly one, or it cannot be loaded.
        BackboneMismatchError: if the only one is not what was recorded.
    """
    if spec is not None:
        return load_backbone(spec, pick_device(device))
    known = bank.backbones() if bank is not None else ()
    if len(known) == 1:
        return load_recorded(known[0], device=device)
    raise InputError(
        f"the bank knows {len(known)} backbones"
        + "".join(f"\n  {one.identity.spec}" for one in known)
        + "\nname the one to use with --backbone SPEC"
    )


def _check_place(bank: Bank, backbone: Backbone) -> None:
    # The same place holding another model would make the older one's tasks unusable.
    for recorded in bank.backbones():
        if recorded.identity.spec == backbone.identity.spec:
            check_backbone(backbone, recorded)


def _new_adapter(
    plan: TaskPlan,
    trial: NewTrial,
    weights: Mapping[str, torch.Tensor],
    predictions: Mapping[str, np.ndarray],
) -> NewAdapter:
    splits = tuple(
        NewSplit(
            name,
            examples.origin,
            len(examples),
            examples.to_bytes(),
            save_arrays({"logits": predictions[name]}),
        )
        for name, examples in plan.data.evaluated.items()
    )
    return NewAdapter(
        task=plan.name,
        kind=trial.kind,
        backbone=trial.backbone,
        method=trial.method,
        training=trial.training,
        definition=trial.definition,
        metric=trial.metric,
        split=plan.data.scored,
        metrics=trial.metrics,
        splits=splits,
        parameters=trial.parameters,
        weights=save_tensors(dict(weights)),
        environment=trial.environment,
        description=plan.description,
        tags=plan.tags,
    )
