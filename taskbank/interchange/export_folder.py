"""Exports an adapter as a folder of files in open formats, and imports such a folder.

    FOLDER/adapter.json                 the adapter's description and metadata
    FOLDER/weights.safetensors          adapter, LayerNorms and head
    FOLDER/SPLIT.jsonl                  the examples of each stored split
    FOLDER/SPLIT.logits.safetensors     the reference predictions for these examples

An imported folder is untrusted: only files with these names are read, and nothing enters the bank
before every digest, shape and value is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.records import AdapterRecord
from taskbank.data.examples import Examples
from taskbank.data.folds import FOLDS
from taskbank.digests import Json, digest_bytes
from taskbank.errors import InputError
from taskbank.interchange.untrusted import (
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    parse_adapter,
    read_description,
)
from taskbank.kinds.canaries import choose_canaries
from taskbank.verify.compare import metric_disagreements
from taskbank.verify.contents import bytes_damage, split_cache

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


def export_adapter(bank: Bank, ref: str, folder: str | Path) -> AdapterRecord:
    """Write one adapter, with the evidence to verify it, into a new folder.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        folder: the target folder, which must be empty or not exist yet.

    Raises:
        NotFoundError: if the adapter does not exist.
        DamagedError: if stored rows or bytes differ from what was recorded.
        InputError: if the folder is not empty or not writable.
    """
    record = bank[ref]
    target = Path(folder)
    files: dict[str, bytes] = {WEIGHTS: bank.weights(record)}
    for split in record.splits:
        files[f"{split.name}.jsonl"] = bank.blob(split.digest)
        files[f"{split.name}.logits.safetensors"] = bank.blob(split.predictions)
    identity = bank.backbone(record.backbone).identity
    description = record.to_json() | {"format": FORMAT, "backbone": asdict(identity)}
    # The description is written last, because a folder without it is not a valid export.
    files[DESCRIPTION] = (json.dumps(description, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise InputError(f"{target} is not empty: give a folder that does not exist yet")
        for name, data in files.items():
            (target / name).write_bytes(data)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
    return record


def import_adapter(
    bank: Bank, folder: str | Path, *, name: str | None = None, new_version: bool = False
) -> AdapterRecord:
    """Add an exported adapter to a bank.

    If the bank lacks the adapter's backbone, its identity is recorded too. An export never contains
    the weights of a backbone.

    Args:
        bank: an open bank.
        folder: a folder that `export_adapter` wrote.
        name: the task's new name; None means the exported name.
        new_version: whether to add a version to an existing task.

    Raises:
        InputError: if the folder is not an export, or its contents are inconsistent.
        ConflictError: if the task exists and `new_version` is false, or if the task is of another
            kind.
    """
    source = Path(folder)
    description = read_description(source / DESCRIPTION)
    try:
        new = parse_adapter(source, description, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{source / DESCRIPTION} is not a complete description of an adapter "
            f"({type(error).__name__}: {error}): export it again"
        ) from None
    kind: Kind = plugins.load("kinds", new.kind)
    _check_contents(source, new, kind)
    return bank.put(with_canaries(new), new_version=new_version)


def with_canaries(new: NewAdapter) -> NewAdapter:
    """Return an adapter with canaries chosen for each of its splits.

    Args:
        new: an adapter from elsewhere, complete except for its canaries.
    """
    kind: Kind = plugins.load("kinds", new.kind)
    splits = []
    for split in new.splits:
        columns = Examples.from_bytes(split.examples, split.origin).columns
        predictions = load(split.logits)["logits"]
        rows = choose_canaries(kind, predictions, columns, new.definition)
        splits.append(replace(split, canary=rows))
    return replace(new, splits=tuple(splits))


def _check_contents(source: Path, new: NewAdapter, kind: Kind) -> None:
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
    measured = [(metric.split, metric.name) for metric in new.metrics]
    verified = "train" if new.split == FOLDS else new.split
    if verified not in splits or any(len(set(names)) < len(names) for names in (splits, measured)):
        raise InputError(
            f"{source} cannot be imported: it must have split {verified!r}, and each split and "
            f"metric only once, but it has the splits {splits} and the metrics {measured}; export "
            "it again"
        )
    for check, message in bytes_damage(blobs.__getitem__, row, predictions, kind, split_cache()):
        raise InputError(f"{source} cannot be imported: the check {check!r} failed: {message}")
    for split in new.splits:
        for message in _metrics_damage(new, split, kind):
            raise InputError(
                f"{source} cannot be imported: {message}; {DESCRIPTION} may have been changed, so "
                "export it again"
            )


def _metrics_damage(new: NewAdapter, split: NewSplit, kind: Kind) -> Iterator[str]:
    """Yield descriptions of a split's metrics that its examples and predictions contradict.

    This detects labels and settings that were changed to give the predictions another meaning.
    """
    predictions = load(split.logits)["logits"]
    if not np.isfinite(predictions).all():
        yield f"a reference prediction of split {split.name!r} is NaN or infinite"
        return
    examples = Examples.from_bytes(split.examples, split.name)
    recomputed = kind.scores(predictions, examples.columns, new.definition)
    recorded = {metric.name: metric.value for metric in new.metrics if metric.split == split.name}
    for name in recorded.keys() - recomputed.keys():
        yield f"{name} on split {split.name!r} is not a metric of kind {kind.name!r}"
    yield from metric_disagreements(split.name, recorded, recomputed)
