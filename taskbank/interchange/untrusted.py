"""Reads an export folder as untrusted input: checks names, types, digests and values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskbank import plugins
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.records import MetricRecord
from taskbank.checks import check_name
from taskbank.data.folds import FOLDS
from taskbank.digests import DIGEST, Json, digest_bytes
from taskbank.errors import InputError
from taskbank.kinds.definition import Definition
from taskbank.specs import BackboneIdentity, MethodSpec, TrainingSpec

if TYPE_CHECKING:
    pass

FORMAT = "taskbank-adapter/1"
DESCRIPTION, WEIGHTS = "adapter.json", "weights.safetensors"
SPLITS = ("validation", "test", "train")
MAX_DESCRIPTION_BYTES = 64 * 2**20  # bytes; a label space of 100,000 names fits


def read_description(path: Path) -> dict[str, Any]:
    """Return the description of an exported adapter.

    Raises:
        InputError: if the file cannot be read, is too large, or is not JSON of the known format.
    """
    data = _read(path)
    if len(data) > MAX_DESCRIPTION_BYTES:
        raise InputError(
            f"{path} has {len(data):,} bytes, more than the maximum of {MAX_DESCRIPTION_BYTES:,}: "
            "it is not a description of an adapter"
        )
    try:
        description = json.loads(data, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else description
        raise InputError(f"{path} has the format {str(found)[:50]!r}, not {FORMAT!r}")
    return description


def parse_adapter(source: Path, description: dict[str, Any], name: str | None) -> NewAdapter:
    """Return the adapter that an export folder describes, after checking its files' digests.

    Args:
        source: the folder.
        description: the content of its `adapter.json`.
        name: the task's new name; None means the exported name.

    Raises:
        InputError: if a file cannot be read or was changed since the export.
        KeyError, TypeError, ValueError, AttributeError: if the description is incomplete or wrong.
    """
    backbone = BackboneIdentity(**_check_types(description["backbone"], BackboneIdentity))
    for part in (backbone.weights, backbone.config, backbone.tokenizer):
        if not DIGEST.fullmatch(part):
            raise ValueError(f"{part!r} is not a digest")
    method = str(description["method"])
    options = plugins.load("methods", method).complete(description["options"])
    labels = tuple(description["labels"])
    settings = dict(description.get("settings", {}))
    if not all(isinstance(label, str) for label in labels) or len(set(labels)) != len(labels):
        raise ValueError("the labels are not distinct strings")
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
        weights=_read_checked(source / WEIGHTS, description["digest"]),
        environment=dict(description["environment"]),
        description=str(description["description"]),
        tags={check_name(k, "tag"): str(v) for k, v in description["tags"].items()},
    )


def _parse_split(source: Path, split: dict[str, Any]) -> NewSplit:
    name = split["name"]
    if name not in SPLITS:  # the name becomes part of a file name
        raise ValueError(f"split {name!r} is not one of {', '.join(SPLITS)}")
    return NewSplit(
        name,
        str(split["origin"]),
        int(split["rows"]),
        _read_checked(source / f"{name}.jsonl", split["digest"]),
        _read_checked(source / f"{name}.logits.safetensors", split["predictions"]),
    )


def _parse_metric(metric: dict[str, Any]) -> MetricRecord:
    value, error = float(metric["value"]), float(metric["standard_error"])
    splits = (*SPLITS, FOLDS)
    if not (math.isfinite(value) and math.isfinite(error)) or metric["split"] not in splits:
        raise ValueError(f"metric {metric!r} is not a number on one of {', '.join(splits)}")
    return MetricRecord(
        metric["split"], check_name(metric["name"], "metric"), value, error, int(metric["count"])
    )


def _check_types(values: dict[str, Any], record: type) -> dict[str, Any]:
    types = {"str": str, "int": int}
    for key, annotation in record.__annotations__.items():
        if type(values[key]) is not types[annotation]:
            raise TypeError(f"{key} is {values[key]!r}, not of type {annotation}")
    return values


def _read_checked(path: Path, digest: str) -> bytes:
    data = _read(path)
    found = digest_bytes(data)
    if found != digest:
        raise InputError(
            f"{path} was changed since it was exported: it has the digest {found}, but "
            f"{DESCRIPTION} has {digest}; export it again"
        )
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): give a folder that taskbank export wrote"
        ) from None


def _reject_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
