"""Adds a task: data, training, evaluation, storage, verification, in this order.

Everything that can be wrong with the arguments is found before anything expensive starts,
and the bank does not change before the task is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from taskbank import plugins
from taskbank.backbone import Backbone, load_backbone
from taskbank.bank import Bank, create_bank
from taskbank.catalog.catalog import check_addable
from taskbank.catalog.engine import connected, revision_of
from taskbank.catalog.records import AdapterRecord, BackboneRecord, NewAdapter, NewSplit
from taskbank.data.batches import Encoded, encode
from taskbank.data.examples import Examples
from taskbank.data.sources import hold_out, read_examples
from taskbank.environment import environment, pick_device
from taskbank.errors import InputError
from taskbank.evaluate import measure, predict_logits
from taskbank.inference import check_backbone, load_recorded
from taskbank.model import TaskModel, task_model
from taskbank.specs import Json, MethodSpec, TrainingSpec, check_name, check_text
from taskbank.train import Training, train
from taskbank.verify.report import Report
from taskbank.verify.verify import verify_all

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

HELD_OUT = 0.1  # share of train that becomes validation where none is given


@dataclass(frozen=True)
class Added:
    """A task that was added.

    Attributes:
        record: the adapter as the bank has it.
        training: every epoch, and which was best.
        unchanged: the integrity check of every adapter that was there before.
    """

    record: AdapterRecord
    training: Training
    unchanged: Report


@dataclass(frozen=True)
class _Data:
    """The labelled data of one task, checked against each other."""

    train: Examples
    validation: Examples
    test: Examples | None
    labels: tuple[str, ...]

    @property
    def evaluated(self) -> dict[str, Examples]:
        """The splits that are scored and stored, by name."""
        splits = {"validation": self.validation}
        return splits if self.test is None else splits | {"test": self.test}


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
    method: str = "houlsby",
    options: Mapping[str, Json] | None = None,
    training: Mapping[str, Json] | None = None,
    backbone: str | None = None,
    new_version: bool = False,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    device: str | None = None,
    progress: bool = False,
) -> Added:
    """Train a task on labelled text and record it in a bank.

    Args:
        bank: an open bank, or a bank's URL; with a URL and `backbone` it is made if need be.
        name: of the task.
        train_data: a file, a folder or `hf:NAME[/CONFIG][:SPLIT]`; see `taskbank.data.sources`.
        validation: the same; none means that a stratified tenth of train is held out.
        test: the same, scored once at the end; none means that validation is the score.
        kind: `single` or `pair`.
        text: the column of texts, where it is not called `text` (`text_a` for pairs).
        text_pair: the column of second texts, where it is not called `text_b`.
        label: the column of labels, where it is not called `label`.
        method: how the task is adapted.
        options: options of the method that differ from its defaults.
        training: fields of `TrainingSpec` that differ from its defaults.
        backbone: where the backbone is; none means the only one that the bank knows.
        new_version: whether the task may be there already.
        description: free text.
        tags: keys and values to find it by.
        device: to compute on; none means the best there is.
        progress: show bars, if the error stream is a terminal.

    Raises:
        InputError: if an argument, a file or the backbone is not usable.
        ConflictError: if the task is there and no new version was asked for.
        BackboneMismatchError: if the backbone is not the recorded one.
        TrainingError: if training gave no usable adapter.
    """
    check_name(name, "task name")
    check_text(description, "description")
    found_tags = _checked_tags(tags or {})
    the_kind: Kind = plugins.load("kinds", kind)
    method_spec = MethodSpec(method, plugins.load("methods", method).options(options or {}))
    spec = _training(training or {})
    with ExitStack() as stack:
        opened = bank if isinstance(bank, Bank) else _open_if_there(bank, backbone, stack)
        if opened is not None:
            check_addable(name, kind, opened.catalog.kind_of(name), new_version=new_version)
        columns = {"text": text, "text_pair": text_pair, "label": label}
        data = _read(the_kind, (train_data, validation, test), columns, spec.seed)
        loaded = _load_backbone(opened, backbone, device)
        spec = _fitted(spec, loaded, asked="max_length" in (training or {}))
        if opened is None:
            opened = stack.enter_context(create_bank(str(bank)))
            opened.add_backbone(loaded.identity)
        _check_place(opened, loaded)
        with task_model(
            loaded, the_kind, len(data.labels), method, method_spec.options, spec.seed
        ) as model:
            new, trained = _train(
                model, loaded, the_kind, data, name, method_spec, spec, progress=progress
            )
        new = replace(new, description=description, tags=found_tags)
        record = opened.put(new, new_version=new_version)
        return Added(record, trained, verify_all(opened, level="integrity", progress=progress))


def _open_if_there(url: str, backbone: str | None, stack: ExitStack) -> Bank | None:
    with connected(url) as engine:
        if backbone is not None and revision_of(engine) is None:
            return None
    return stack.enter_context(Bank(url))


def _training(given: Mapping[str, Json]) -> TrainingSpec:
    names = TrainingSpec.__dataclass_fields__
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise InputError(f"training has no {unknown[0]!r}: it has {', '.join(names)}")
    return TrainingSpec(**given)


def _checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        check_name(key, "tag")
        check_text(value, f"tag {key}")
    return dict(tags)


def _read(
    kind: Kind,
    sources: tuple[str, str | None, str | None],
    columns: Mapping[str, str | None],
    seed: int,
) -> _Data:
    train_data, *others = (
        source and read_examples(source, **columns, kind_columns=kind.columns) for source in sources
    )
    assert isinstance(train_data, Examples)  # noqa: S101 - its source is not optional
    validation, test = others
    labels = kind.label_space(train_data.columns["label"], train_data.origin)
    if not validation:
        train_data, validation = hold_out(train_data, HELD_OUT, seed)
    data = _Data(train_data, validation, test or None, labels)
    for examples in data.evaluated.values():  # says now that a label is unknown
        kind.targets(examples.columns["label"], labels, examples.origin)
    return data


def _load_backbone(bank: Bank | None, spec: str | None, device: str | None) -> Backbone:
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


def _fitted(spec: TrainingSpec, backbone: Backbone, *, asked: bool) -> TrainingSpec:
    longest = backbone.identity.max_length
    if spec.max_length <= longest:
        return spec
    if asked:
        raise InputError(
            f"max_length is {spec.max_length}: the backbone {backbone.identity.spec!r} takes "
            f"at most {longest} tokens"
        )
    return replace(spec, max_length=longest)


def _train(
    model: TaskModel,
    backbone: Backbone,
    kind: Kind,
    data: _Data,
    name: str,
    method: MethodSpec,
    spec: TrainingSpec,
    *,
    progress: bool,
) -> tuple[NewAdapter, Training]:
    def prepared(examples: Examples) -> tuple[Encoded, np.ndarray]:
        encoded = encode(backbone.tokenizer, examples.columns, kind.columns, spec.max_length)
        return encoded, kind.targets(examples.columns["label"], data.labels, examples.origin)

    evaluated = {split: prepared(examples) for split, examples in data.evaluated.items()}
    inputs = prepared(data.train)
    trained = train(model, kind, inputs, evaluated["validation"], spec, progress=progress)
    metrics, splits = [], []
    for split, (encoded, targets) in evaluated.items():
        logits = predict_logits(model, encoded)
        metrics += measure(kind, split, logits, targets)
        examples = data.evaluated[split]
        splits.append(
            NewSplit(
                split,
                examples.origin,
                len(examples),
                examples.to_bytes(),
                save_arrays({"logits": logits}),
            )
        )
    tensors = {key: tensor.cpu().contiguous() for key, tensor in model.trained().items()}
    new = NewAdapter(
        task=name,
        kind=kind.name,
        backbone=backbone.identity,
        method=method,
        training=spec,
        labels=data.labels,
        metric=kind.metric,
        split=splits[-1].name,
        metrics=tuple(metrics),
        splits=tuple(splits),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        weights=save_tensors(tensors),
        environment=environment(str(backbone.device))
        | _course(data.train, inputs[0], spec, trained),
    )
    return new, trained


def _course(
    data: Examples, encoded: Encoded, spec: TrainingSpec, trained: Training
) -> dict[str, Json]:
    return {
        "seconds": round(trained.seconds, 3),
        "train": {
            "origin": data.origin,
            "rows": len(data),
            "digest": data.digest,
            "at_max_length": int((encoded.lengths >= spec.max_length).sum()),
        },
        "best_epoch": trained.best.number,
        "epochs": [vars(epoch) for epoch in trained.epochs],
    }
