"""Reads an export folder as untrusted input: checks names, types, ranges, sizes and digests."""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

from taskbank import plugins
from taskbank.bank.new_records import (
    OWN_SPLITS,
    NewAdapter,
    NewScoredSplit,
    NewSplit,
    check_split_name,
)
from taskbank.bank.records import MetricRecord
from taskbank.checks import check_name
from taskbank.data.row_difference import RowDifference
from taskbank.digests import Json, digest_bytes
from taskbank.errors import InputError
from taskbank.interchange import schema
from taskbank.interchange.schema import Check
from taskbank.kinds.definition import Definition
from taskbank.runtime.regular_file import read_regular
from taskbank.runtime.signatures import LARGEST, check_signature
from taskbank.specs import FOLDS, TRAINING_FIELDS, BackboneIdentity, MethodSpec, training_of

FORMAT = "taskbank-adapter/1"
DESCRIPTION, WEIGHTS = "adapter.json", "weights.safetensors"
ROW_DIGESTS = "row-digests.bin"
SIGNATURE = "adapter.json.sig"
SPLITS = ("validation", "test", "train")
MAX_SPLITS = 1000
MAX_PARENTS = 1000
VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
MAX_DESCRIPTION_BYTES = 64 * 2**20  # bytes; a label space of 100,000 names fits
MAX_SPLIT_BYTES = 2**30  # bytes of the examples of a split, and of the predictions for them
MAX_WEIGHTS_BYTES = 2**34
MAX_ROW_DIGESTS_BYTES = 2**32


def _split_name(place: str, value: Json) -> None:
    """Check the name of a split, which becomes part of a file name."""
    schema.name(place, value)
    if value not in SPLITS:
        check_split_name(value)


def _full_name(place: str, value: Json) -> None:
    """Check the full name of a version, such as `sst2@3`."""
    schema.name(place, value.rpartition("@")[0] if type(value) is str else value)
    if not VERSION.fullmatch(value.rpartition("@")[2]):
        raise schema.refuse(place, value, "a name and a version, such as sst2@3")


def _course(place: str, value: Json) -> None:
    """Check the course of a training, of which `KEPT_COURSE` is imported."""
    schema.plain(place, value)
    if type(value) is dict:
        for key, check in KEPT_COURSE.items():
            if key in value:
                check(f"{place}.{key}", value[key])


PARENT: dict[str, Check] = {"ref": _full_name, "digest": schema.digest}
PARENT_OPTIONAL: dict[str, Check] = {"weight": schema.number(0)}
# Where a checkpoint of another library came from; see `taskbank.interchange.checkpoint`.
IMPORTED: dict[str, Check] = {
    "format": schema.name,
    "versions": schema.table(schema.name, schema.text(1000)),
    "base": schema.or_null(schema.text(10_000)),
    "revision": schema.or_null(schema.text(1000)),
    "digest": schema.digest,
}
IMPORTED_OPTIONAL: dict[str, Check] = {"from": schema.text(1000), "mlflow": schema.plain}
# How a version was updated; see `taskbank.pipeline.update`.
UPDATE: dict[str, Check] = {
    "requested": schema.one_of(("retrain", "continue", "auto")),
    "mode": schema.one_of(("retrain", "continue")),
}
UPDATE_OPTIONAL: dict[str, Check] = {
    "anchor": schema.number(0),
    **{part.name: schema.whole() for part in fields(RowDifference)},
}
KEPT_COURSE: dict[str, Check] = {
    "parents": schema.items(schema.record(PARENT, PARENT_OPTIONAL), least=1, most=MAX_PARENTS),
    "update": schema.record(UPDATE, UPDATE_OPTIONAL),
    "imported": schema.record(IMPORTED, IMPORTED_OPTIONAL),
}
METRIC: dict[str, Check] = {
    "split": schema.name,
    "name": schema.name,
    "value": schema.number(),
    "standard_error": schema.number(0),
    "count": schema.whole(),
}
SPLIT: dict[str, Check] = {
    "name": _split_name,
    "origin": schema.text(),
    "rows": schema.whole(1),
    "digest": schema.digest,
    "predictions": schema.digest,
}
REQUIRED: dict[str, Check] = {
    "format": schema.one_of((FORMAT,)),
    "task": schema.name,
    "kind": schema.name,
    "method": schema.name,
    "metric": schema.name,
    "split": schema.one_of((*SPLITS, FOLDS)),
    "score": schema.number(),
    "parameters": schema.whole(1, MAX_WEIGHTS_BYTES),
    "bytes": schema.whole(1, MAX_WEIGHTS_BYTES),
    "digest": schema.digest,
    "options": schema.table(schema.name, schema.plain),
    "training": schema.table(schema.one_of(TRAINING_FIELDS), schema.plain),
    "labels": schema.items(schema.text(10_000)),
    "description": schema.text(lines=True),
    "tags": schema.table(schema.name, schema.text(lines=True)),
    "environment": schema.table(schema.text(1000), schema.plain),
}
# What older versions leave out, and what tells about the bank of origin and is not imported.
OPTIONAL: dict[str, Check] = {
    "settings": schema.table(schema.name, schema.plain),
    "version": schema.whole(1),
    "created_at": schema.moment,
    "course": _course,
    "request": schema.or_null(schema.digest),
    "row_digests": schema.or_null(schema.digest),
    "retired": schema.boolean,
}
SPLIT_OPTIONAL: dict[str, Check] = {
    "reference": schema.digest,
    "canary": schema.items(schema.whole()),
    "accepted": schema.or_null(schema.whole()),
    "scored_at": schema.or_null(schema.moment),
}
# The settings of a tokenizer, as `settings_of` of the backbone returns them; those that are left
# out are not compared.
TOKENIZER: dict[str, Check] = {
    "truncation_side": schema.one_of(("left", "right")),
    "token_type_ids": schema.boolean,
    "split_special_tokens": schema.boolean,
    "max_length": schema.whole(1),
    "configuration": schema.digest,
    "files": schema.digest,
}


@cache
def description_check() -> Check:
    """Return the check of the description of an exported adapter."""
    parts = {
        "metrics": schema.items(schema.record(METRIC), least=1, most=1000),
        "splits": schema.items(schema.record(SPLIT, SPLIT_OPTIONAL), least=1, most=MAX_SPLITS),
        "backbone": schema.record(*_identity_checks()),
    }
    return schema.record(REQUIRED | parts, OPTIONAL)


def exported(description: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an adapter's description that an export has.

    Args:
        description: the adapter's record as JSON, with `format` and `backbone`.
    """
    keys = REQUIRED.keys() | OPTIONAL.keys() | {"backbone", "metrics", "splits"}
    chosen = {key: value for key, value in description.items() if key in keys}
    parts = SPLIT.keys() | SPLIT_OPTIONAL.keys()
    chosen["splits"] = [
        {key: value for key, value in split.items() if key in parts}
        for split in description["splits"]
    ]
    return chosen


def read_description(path: Path, signer: Path | None = None) -> dict[str, Any]:
    """Return the description of an exported adapter, after checking every value of it.

    Args:
        path: the file.
        signer: the public key whose owner must have signed it; None means that nobody has to.

    Raises:
        InputError: if the file cannot be read, is too large, or is not JSON of the known format,
            or the signature is missing or not the signer's.
    """
    data = read_file(path, MAX_DESCRIPTION_BYTES)
    if signer is not None:
        check_signature(data, read_file(path.with_name(SIGNATURE), LARGEST), signer, str(path))
    try:
        description = schema.parse_json(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else description
        raise InputError(f"{path} has the format {str(found)[:50]!r}, not {FORMAT!r}")
    try:
        description_check()("adapter", description)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None
    return description


def parse_adapter(source: Path, description: dict[str, Any], name: str | None) -> NewAdapter:
    """Return the adapter that an export folder describes, after checking its files' digests.

    Args:
        source: the folder.
        description: the content of its `adapter.json`, checked.
        name: the task's new name; None means the exported name.

    Raises:
        InputError: if a file cannot be read or was changed since the export, or if a value is out
            of range.
    """
    method = description["method"]
    splits = [_parse_split(source, split) for split in description["splits"]]
    metrics = [MetricRecord(**metric) for metric in description["metrics"]]
    names, rows = {split.name for split in splits}, description.get("row_digests")
    new = NewAdapter(
        task=check_name(name or description["task"], "task name"),
        kind=plugins.load("kinds", description["kind"]).name,
        backbone=BackboneIdentity(**description["backbone"]),
        method=MethodSpec(method, plugins.load("methods", method).complete(description["options"])),
        training=training_of(description["training"]),
        definition=Definition(tuple(description["labels"]), description.get("settings", {})),
        metric=description["metric"],
        split=description["split"],
        metrics=tuple(
            metric for metric in metrics if metric.split in OWN_SPLITS or metric.split not in names
        ),
        splits=tuple(split for split in splits if split.name in OWN_SPLITS),
        scored=tuple(
            NewScoredSplit(split, tuple(metric for metric in metrics if metric.split == split.name))
            for split in splits
            if split.name not in OWN_SPLITS
        ),
        parameters=description["parameters"],
        weights=_read_checked(source / WEIGHTS, description["digest"], description["bytes"]),
        environment=description["environment"],
        course=_kept_course(description),
        description=description["description"],
        tags=description["tags"],
        row_digests=None
        if rows is None
        else _read_checked(source / ROW_DIGESTS, rows, MAX_ROW_DIGESTS_BYTES),
    )
    _check_consistent(new, description)
    return new


def _kept_course(description: dict[str, Any]) -> dict[str, Json]:
    course = description.get("course")
    if type(course) is not dict:
        return {}
    return {key: course[key] for key in KEPT_COURSE if key in course}


def _check_consistent(new: NewAdapter, description: dict[str, Any]) -> None:
    if len(set(new.definition.labels)) != len(new.definition.labels):
        raise InputError("the labels are not distinct")
    if len(new.weights) != description["bytes"]:
        raise InputError(
            f"{WEIGHTS} has {len(new.weights):,} bytes, but {DESCRIPTION} has "
            f"{description['bytes']:,}"
        )
    if not math.isclose(new.score, description["score"], abs_tol=1e-9):
        raise InputError(
            f"the score is {description['score']}, but the metric {new.metric} on split "
            f"{new.split!r} is {new.score}"
        )


def _parse_split(source: Path, split: dict[str, Any]) -> NewSplit:
    name = split["name"]
    return NewSplit(
        name,
        split["origin"],
        split["rows"],
        _read_checked(source / f"{name}.jsonl", split["digest"], MAX_SPLIT_BYTES),
        _read_checked(source / f"{name}.logits.safetensors", split["predictions"], MAX_SPLIT_BYTES),
    )


def _identity_checks() -> tuple[dict[str, Check], dict[str, Check]]:
    """Return the checks of a backbone's identity: those of required and of optional fields."""
    required: dict[str, Check] = {}
    optional: dict[str, Check] = {}
    for part in fields(BackboneIdentity):
        if part.name in ("weights", "config", "tokenizer"):
            check: Check = schema.digest
        elif part.name == "settings":
            check = schema.record({}, TOKENIZER)
        else:
            is_text = str(part.type).startswith("str")
            check = schema.text(10_000) if is_text else schema.whole(1, 2**40)
        if part.default is MISSING:
            required[part.name] = check
        else:
            optional[part.name] = schema.or_null(check)
    return required, optional


def _read_checked(path: Path, digest: str, limit: int) -> bytes:
    data = read_file(path, limit)
    found = digest_bytes(data)
    if found != digest:
        raise InputError(
            f"{path} was changed since it was exported: it has the digest {found}, but "
            f"{DESCRIPTION} has {digest}; export it again"
        )
    return data


def read_file(path: Path, limit: int, first: int | None = None) -> bytes:
    """Return the content of a regular file from outside.

    Args:
        path: the file.
        limit: the largest accepted size in bytes.
        first: the number of bytes to read; None means all.

    Raises:
        InputError: if there is no regular file, it is too large, or it cannot be read.
    """
    try:
        return read_regular(path, limit, first)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason})") from None
