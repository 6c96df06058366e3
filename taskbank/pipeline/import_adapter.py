"""Adds an adapter from elsewhere to a bank; one of another library is scored first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safetensors.torch import save

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.records import AdapterRecord
from taskbank.checks import check_name, check_text
from taskbank.data.alike_labels import match_labels
from taskbank.data.examples import Examples
from taskbank.data.fields import CLASS_TYPES
from taskbank.data.label_names import label_names_for
from taskbank.data.sources import read_examples
from taskbank.data.style import Style
from taskbank.digests import Json
from taskbank.errors import DamagedError, DataError, InputError
from taskbank.interchange.checkpoint import Checkpoint
from taskbank.interchange.import_ import read_adapter
from taskbank.interchange.import_options import ImportOptions
from taskbank.interchange.sources import opened
from taskbank.kinds.definition import Definition
from taskbank.kinds.kind import resolve_metric
from taskbank.model.predict import predict_examples
from taskbank.model.task_model import TaskModel, task_model
from taskbank.model.trunk import add_trunk_states
from taskbank.pipeline.storage import new_split
from taskbank.runtime.device import pick_device
from taskbank.runtime.environment import environment
from taskbank.specs import ForeignTraining
from taskbank.training.evaluation import chance_of_score, measure

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

SPLIT = "test"


def import_adapter(
    bank: Bank,
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    name: str | None = None,
    new_version: bool = False,
    backbone: str | None = None,
    signer: str | os.PathLike[str] | None = None,
    test: Any = None,
    kind: str | None = None,
    label_names: str | Sequence[str] | None = None,
    metric: str | None = None,
    positive: str | None = None,
    max_length: int | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    style: Style | None = None,
    merge_labels: bool = False,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    device: str | None = None,
) -> AdapterRecord:
    """Add an adapter from elsewhere to a bank, after checking every byte of it.

    A folder of format `taskbank` has the evidence that its adapter is verified by. One of another
    library has none: its adapter is scored on labelled data, and the data, the predictions and the
    metrics are the evidence from then on.

    Args:
        bank: an open bank.
        source: a folder, `hf:OWNER/NAME[@REVISION]` on the Hugging Face Hub, or a registered model
            of MLflow, `models:/NAME/VERSION` or `models:/NAME@ALIAS`; nothing in it is trusted, and
            no pickle is read.
        format: `taskbank`, `peft`, `adapterhub` or `transformers`; None means that the files tell
            it.
        name: the task's name; None means the name in the folder, if it has one.
        new_version: whether to add a version to an existing task.
        backbone: where to load the backbone from. For format `taskbank` it is needed if the bank
            does not know the backbone; for others, if the base that they name is not the name of
            one of the bank's.
        signer: the file of the public SSH key whose owner must have signed the folder; None means
            that no signature is needed.
        test: labelled data to score an adapter of another library on; see `TaskSpec.test`.
        kind: its kind, if the files do not tell.
        label_names: names of its classes in the order of the head's outputs, if the files do not
            tell; see `TaskSpec.label_names`.
        metric: the metric that gives the score; None means the kind's own.
        positive: the class whose F1 is computed when there are two classes; None means that of the
            files, else the last.
        max_length: maximum number of tokens per input; None means that of the files, else the
            backbone's.
        text: column of the first text of an input in the data.
        text_pair: column of the second text.
        label: column of the label.
        style: what is said about how files of data are written.
        merge_labels: whether to read labels that differ from the task's only in letter case, or
            are the same number, as those.
        description: free text that describes the task.
        tags: keys and values to find the task by.
        device: where an adapter of another library is scored: `cpu` or `cuda`; None means a GPU if
            there is one.

    Raises:
        InputError: if the folder holds no adapter of the format, or one that taskbank cannot
            compute, or if something that the files do not tell is missing.
        DataError: if the data cannot be read or does not fit the task.
        BackboneMismatchError: if the loaded backbone is not that of the adapter.
        ConflictError: if the task exists and `new_version` is false, or if the task is of another
            kind.
    """
    options = ImportOptions(
        name=name,
        new_version=new_version,
        backbone=backbone,
        signer=None if signer is None else os.fspath(signer),
        test=test,
        kind=kind,
        label_names=label_names,
        metric=metric,
        positive=positive,
        max_length=max_length,
        text=text,
        text_pair=text_pair,
        label=label,
        style=style or Style(),
        merge_labels=merge_labels,
        description=description,
        tags=tags or {},
        device=device,
    )
    chosen_device = pick_device(device)
    with opened(source) as found:
        options = replace(options, name=options.name or found.name)
        read = read_adapter(bank, found, format, options)
    if isinstance(read, Checkpoint):
        told = {**read.imported, **found.told}
        read = replace(read, labels=read.labels or found.labels, imported=told)
        read.backbone.model.to(chosen_device)  # its files were compared on the CPU
    new = _scored(bank, read, options) if isinstance(read, Checkpoint) else read
    return bank.put(new, new_version=new_version)


def _scored(bank: Bank, checkpoint: Checkpoint, options: ImportOptions) -> NewAdapter:
    """Return a checkpoint with its scores and predictions on data."""
    kind: Kind = plugins.load("kinds", checkpoint.kind)
    task, identity = checkpoint.task, checkpoint.backbone.identity
    name = check_name(task["task"], "task name")
    bank.check_can_add(name, kind.name, new_version=options.new_version)
    description = options.description or task.get("description", "")
    tags = task.get("tags", {}) | dict(options.tags)
    for key, value in tags.items():
        check_text(value, f"tag {check_name(key, 'tag')}")
    training = ForeignTraining(options.max_length or task.get("max_length", identity.max_length))
    if not 3 <= training.max_length <= identity.max_length:
        raise InputError(
            f"max_length is {training.max_length:,}: the backbone reads 3 to "
            f"{identity.max_length:,} tokens"
        )
    examples, definition = _data(kind, checkpoint, options)
    model = _model(checkpoint, kind, definition)
    tokenizer = checkpoint.backbone.tokenizer
    encoded = kind.encode(
        tokenizer, examples.columns, definition, training.max_length, labelled=False
    )
    predictions = predict_examples(model, kind, add_trunk_states(model, encoded, stored=False))
    columns = examples.columns
    if kind.changes(predictions, predictions, columns, definition).changed.any():
        raise InputError(
            f"its predictions for {examples.origin} are NaN or infinite: its values are too large"
        )
    metrics = tuple(measure(kind, SPLIT, predictions, columns, definition))
    given = options.metric or task.get("metric")
    metric = resolve_metric(kind, given, [one.name for one in metrics])
    return NewAdapter(
        task=name,
        kind=kind.name,
        backbone=identity,
        method=checkpoint.method,
        training=training,
        definition=definition,
        metric=metric,
        split=SPLIT,
        metrics=metrics,
        splits=(new_split(SPLIT, kind, examples, predictions, definition),),
        parameters=sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        weights=save(dict(checkpoint.tensors)),
        environment=environment(str(checkpoint.backbone.device)),
        course={
            "imported": dict(checkpoint.imported),
            "chance": chance_of_score(kind, metric, predictions, columns, definition),
        },
        description=check_text(description, "description"),
        tags=tags,
    )


def _data(
    kind: Kind, checkpoint: Checkpoint, options: ImportOptions
) -> tuple[Examples, Definition]:
    """Return the labelled data and the definition of a checkpoint's task."""
    task = checkpoint.task
    labels = label_names_for(kind.name, kind.label, options.label_names)
    labels = labels or tuple(task.get("labels", ())) or checkpoint.labels
    for name, count in Counter(labels or ()).items():
        if not name.strip() or count > 1:
            raise InputError(f"the class {name!r} is blank or there twice: name each class once")
    examples = _read(kind, options, labels)
    if labels is None and kind.label.type in CLASS_TYPES:
        raise InputError(
            "the files do not tell the names of the classes: give them in the order of the head's "
            "outputs with --label-names A,B,…"
        )
    if labels is not None:
        examples = match_labels(examples, kind.label, labels, merge=options.merge_labels)
    settings = task.get("settings")
    chosen = {} if options.positive is None else {"positive": options.positive}
    if settings is None or chosen:
        settings = _settings(kind, examples, labels or (), chosen) | (settings or {}) | chosen
    definition = Definition(labels or (), settings)
    outputs = len(checkpoint.tensors["head.weight"])
    if kind.outputs(definition) != outputs:
        raise InputError(
            f"the head has {outputs} outputs, and a task of kind {kind.name!r} with "
            f"{len(definition.labels)} labels has {kind.outputs(definition)}"
        )
    kind.check(examples.columns, definition, examples.origin)
    return examples, definition


def _read(kind: Kind, options: ImportOptions, labels: tuple[str, ...] | None) -> Examples:
    """Return the labelled data; whole numbers in it are positions of labels, unless labels are so
    called."""

    def read(names: tuple[str, ...] | None) -> Examples:
        return read_examples(
            options.test,
            kind.inputs,
            kind.label,
            role=SPLIT,
            text=options.text,
            text_pair=options.text_pair,
            label_column=options.label,
            style=options.style,
            label_names=names,
        )

    if labels is None or kind.label.type not in CLASS_TYPES:
        return read(None)
    try:
        verbatim: Examples | None = read(None)
    except DataError:  # a 0 or 1 for each label cannot be read without names
        verbatim = None
    if verbatim is not None and _are_labels(verbatim.columns[kind.label.name], labels):
        return verbatim
    try:
        return read(labels)
    except DataError:
        if verbatim is None:
            raise
        return verbatim  # whose labels are compared with the task's


def _are_labels(column: Sequence[Any], labels: Sequence[str]) -> bool:
    known = set(labels)
    return all(known.issuperset([one] if isinstance(one, str) else one) for one in column)


def _settings(
    kind: Kind, examples: Examples, labels: Sequence[str], chosen: Mapping[str, Json]
) -> dict[str, Any]:
    """Return the settings that a kind has where nothing was tuned.

    Which classes there are is what the checkpoint tells, and not what happens to be in the data.

    Raises:
        InputError: if a setting that the user chose does not suit the task.
    """
    columns: Columns = examples.columns
    label = kind.label
    if label.type == "class":
        columns = {**columns, label.name: labels}
    elif label.type == "classes":
        columns = {**columns, label.name: [[], *([one] for one in labels)]}
    settings = dict(kind.define(columns, examples.origin, chosen).settings)
    if label.type == "class" and "positive" in settings and not chosen:
        settings["positive"] = labels[-1]
    if label.type == "number":
        settings |= {"mean": 0.0, "std": 1.0}  # other libraries predict the number itself
    return settings


def _model(checkpoint: Checkpoint, kind: Kind, definition: Definition) -> TaskModel:
    method = checkpoint.method
    model = task_model(
        checkpoint.backbone, kind, definition, method.name, method.options, seed=None
    )
    try:
        model.adopt_tensors(checkpoint.tensors)
    except DamagedError as error:
        raise InputError(str(error)) from None
    model.eval()
    return model
