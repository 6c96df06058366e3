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
from taskbank.verify.compare import disagreeing
from taskbank.verify.contents import bytes_damage, no_splits

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


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
    files: dict[str, bytes] = {WEIGHTS: bank.weights(record)}
    for split in record.splits:
        files[f"{split.name}.jsonl"] = bank.blob(split.digest)
        files[f"{split.name}.logits.safetensors"] = bank.blob(split.predictions)
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
    description = read_description(source / DESCRIPTION)
    try:
        new = parse_adapter(source, description, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{source / DESCRIPTION} is not a whole description of an adapter "
            f"({type(error).__name__}: {error}): export it again"
        ) from None
    kind: Kind = plugins.load("kinds", new.kind)
    _check(source, new, kind)
    return bank.put(with_canaries(new), new_version=new_version)


def with_canaries(new: NewAdapter) -> NewAdapter:
    """Return an adapter that was made elsewhere, with the canaries of its splits chosen.

    Args:
        new: complete but for the canaries.
    """
    kind: Kind = plugins.load("kinds", new.kind)
    splits = []
    for split in new.splits:
        columns = Examples.from_bytes(split.examples, split.origin).columns
        predictions = load(split.logits)["logits"]
        rows = choose_canaries(kind, predictions, columns, new.definition)
        splits.append(replace(split, canary=rows))
    return replace(new, splits=tuple(splits))


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
