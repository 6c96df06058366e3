"""Takes an adapter out of a bank as a folder of open formats, and puts one in again.

    FOLDER/adapter.json                 everything but the bytes
    FOLDER/weights.safetensors          adapter, LayerNorms and head
    FOLDER/SPLIT.jsonl                  the examples of each stored split
    FOLDER/SPLIT.logits.safetensors     the reference predictions for them

A folder is hostile until checked: only these names are read, whatever it says, and nothing
enters the bank before every digest, shape and value has been looked at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load

from taskbank import plugins
from taskbank.bank import Bank
from taskbank.catalog.records import AdapterRecord, MetricRecord, NewAdapter, NewSplit
from taskbank.data.examples import Examples
from taskbank.errors import InputError
from taskbank.specs import (
    DIGEST,
    BackboneIdentity,
    Definition,
    Json,
    MethodSpec,
    TrainingSpec,
    check_name,
    digest_bytes,
)
from taskbank.verify.canary import with_canaries
from taskbank.verify.compare import disagreeing
from taskbank.verify.stored import bytes_damage, no_splits

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

FORMAT = "taskbank-adapter/1"
DESCRIPTION, WEIGHTS = "adapter.json", "weights.safetensors"
SPLITS = ("validation", "test")
LARGEST_DESCRIPTION = 64 * 2**20  # bytes; a label space of 100,000 names fits


def export_adapter(bank: Bank, ref: str, folder: str | Path) -> AdapterRecord:
    """Write one adapter, with the evidence to verify it, into a new folder.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        folder: where to; it must not exist, or be empty.

    Raises:
        NotFoundError: if there is no such adapter.
        DamagedError: if stored rows or bytes are not what was recorded.
        InputError: if the folder is not empty or cannot be written to.
    """
    record = bank[ref]
    target = Path(folder)
    files: dict[str, bytes] = {WEIGHTS: record.weights()}
    for split in record.splits:
        files[f"{split.name}.jsonl"] = bank.blobs.get(split.digest)
        files[f"{split.name}.logits.safetensors"] = bank.blobs.get(split.predictions)
    identity = bank.backbone(record.backbone).identity
    description = record.to_json() | {"format": FORMAT, "backbone": asdict(identity)}
    # Written last: a folder without it is no export.
    files[DESCRIPTION] = (json.dumps(description, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise InputError(f"{target} is not empty: give a folder that does not exist yet")
        for name, data in files.items():
            (target / name).write_bytes(data)
    except OSError as error:
        raise InputError(f"{target} cannot be written to: {error.strerror}") from None
    return record


def import_adapter(
    bank: Bank, folder: str | Path, *, name: str | None = None, new_version: bool = False
) -> AdapterRecord:
    """Put an exported adapter into a bank.

    Its backbone is recorded too if the bank does not know it; the weights of a backbone are
    never part of an export.

    Args:
        bank: an open bank.
        folder: as `export_adapter` wrote it.
        name: of the task, if not the one it was exported under.
        new_version: whether the task may be there already.

    Raises:
        InputError: if the folder is not an export, or anything in it does not fit.
        ConflictError: if the task is there and no new version was asked for.
    """
    source = Path(folder)
    description = _read_description(source / DESCRIPTION)
    try:
        new = _parse(source, description, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{source / DESCRIPTION} is not a whole description of an adapter "
            f"({type(error).__name__}: {error}): export it again"
        ) from None
    kind: Kind = plugins.load("kinds", new.kind)
    _check(source, new, kind)
    return bank.put(with_canaries(new), new_version=new_version)


def _read_description(path: Path) -> dict[str, Any]:
    data = _read(path)
    if len(data) > LARGEST_DESCRIPTION:
        raise InputError(f"{path} has {len(data):,} bytes: it is no description of an adapter")
    try:
        description = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else description
        raise InputError(f"{path} has the format {str(found)[:50]!r}, not {FORMAT!r}")
    return description


def _parse(source: Path, description: dict[str, Any], name: str | None) -> NewAdapter:
    backbone = BackboneIdentity(**_of_types(description["backbone"], BackboneIdentity))
    for part in (backbone.weights, backbone.config, backbone.tokenizer):
        if not DIGEST.fullmatch(part):
            raise ValueError(f"{part!r} is not a digest")
    method = str(description["method"])
    options = plugins.load("methods", method).options(description["options"])
    labels = tuple(description["labels"])
    settings = dict(description.get("settings", {}))
    if not all(isinstance(label, str) for label in labels) or len(set(labels)) != len(labels):
        raise ValueError("labels are not distinct texts")
    splits = tuple(_parse_split(source, split) for split in description["splits"])
    return NewAdapter(
        task=check_name(name or description["task"], "task name"),
        kind=plugins.load("kinds", description["kind"]).name,
        backbone=backbone,
        method=MethodSpec(method, options),
        training=TrainingSpec(**description["training"]),
        definition=Definition(labels, settings),
        metric=str(description["metric"]),
        split=str(description["split"]),
        metrics=tuple(_parse_metric(metric) for metric in description["metrics"]),
        splits=splits,
        parameters=int(description["parameters"]),
        weights=_with_digest(source / WEIGHTS, description["digest"]),
        environment=dict(description["environment"]),
        description=str(description["description"]),
        tags={check_name(k, "tag"): str(v) for k, v in description["tags"].items()},
    )


def _parse_split(source: Path, split: dict[str, Any]) -> NewSplit:
    name = split["name"]
    if name not in SPLITS:  # it becomes part of a file name
        raise ValueError(f"split {name!r} is not one of {', '.join(SPLITS)}")
    return NewSplit(
        name,
        str(split["origin"]),
        int(split["rows"]),
        _with_digest(source / f"{name}.jsonl", split["digest"]),
        _with_digest(source / f"{name}.logits.safetensors", split["predictions"]),
    )


def _parse_metric(metric: dict[str, Any]) -> MetricRecord:
    value, error = float(metric["value"]), float(metric["standard_error"])
    if not (math.isfinite(value) and math.isfinite(error)) or metric["split"] not in SPLITS:
        raise ValueError(f"metric {metric!r} is not a number on one of {', '.join(SPLITS)}")
    return MetricRecord(
        metric["split"], check_name(metric["name"], "metric"), value, error, int(metric["count"])
    )


def _of_types(values: dict[str, Any], record: type) -> dict[str, Any]:
    types = {"str": str, "int": int}
    for key, annotation in record.__annotations__.items():
        if type(values[key]) is not types[annotation]:
            raise TypeError(f"{key} is {values[key]!r}, not of type {annotation}")
    return values


def _check(source: Path, new: NewAdapter, kind: Kind) -> None:
    blobs = {digest_bytes(new.weights): new.weights}
    predictions = []
    for split in new.splits:
        blobs |= {digest_bytes(data): data for data in (split.examples, split.logits)}
        predictions.append(
            {
                "split": split.name,
                "split_digest": digest_bytes(split.examples),
                "digest": digest_bytes(split.logits),
                "rows": split.rows,
            }
        )
    row: dict[str, Json] = {
        "digest": digest_bytes(new.weights),
        "parameters": new.parameters,
        "labels": new.definition.labels,
        "settings": new.definition.settings,
    }
    _ = new.score  # raises if the task's own metric is not among its metrics
    splits = [split.name for split in new.splits]
    measured = [(one.split, one.name) for one in new.metrics]
    if new.split not in splits or any(len(set(names)) < len(names) for names in (splits, measured)):
        raise InputError(
            f"{source} cannot be imported: it must have split {new.split!r}, and every split and "
            f"metric once; it has {splits} and {measured}"
        )
    for check, message in bytes_damage(blobs.__getitem__, row, predictions, kind, no_splits()):
        raise InputError(f"{source} cannot be imported, something is wrong in {check}: {message}")
    for split in new.splits:
        for message in _metrics_damage(new, split, kind):
            raise InputError(
                f"{source} cannot be imported: {message}; was {DESCRIPTION} changed? Export again"
            )


def _metrics_damage(new: NewAdapter, split: NewSplit, kind: Kind) -> Iterator[str]:
    """Give what in a split's metrics does not follow from its examples and predictions.

    So labels and settings that read the same predictions otherwise are found out.
    """
    predictions = load(split.logits)["logits"]
    if not np.isfinite(predictions).all():
        yield f"a reference prediction of split {split.name!r} is no finite number"
        return
    examples = Examples.from_bytes(split.examples, split.name)
    recomputed = kind.scores(predictions, examples.columns, new.definition)
    recorded = {metric.name: metric.value for metric in new.metrics if metric.split == split.name}
    for name in recorded.keys() - recomputed.keys():
        yield f"{name} on split {split.name!r} is no metric of a task of kind {kind.name!r}"
    yield from disagreeing(split.name, recorded, recomputed)


def _with_digest(path: Path, digest: str) -> bytes:
    data = _read(path)
    found = digest_bytes(data)
    if found != digest:
        raise InputError(
            f"{path} was changed since it was exported: it has the digest {found}, "
            f"{DESCRIPTION} says {digest}; export it again"
        )
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): give a folder that taskbank export wrote"
        ) from None


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
