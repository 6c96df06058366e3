"""Exports an adapter as a folder of files in open formats, and imports such a folder.

    FOLDER/adapter.json                 the adapter's description and metadata
    FOLDER/adapter.json.sig             its signature, if it was exported with a key
    FOLDER/weights.safetensors          adapter, LayerNorms and head
    FOLDER/row-digests.bin              the digests of the training rows; the rows stay in the bank
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
from taskbank.digests import Json, digest_bytes
from taskbank.errors import InputError
from taskbank.interchange.fit import backbone_for, check_fit
from taskbank.interchange.import_options import ImportOptions
from taskbank.interchange.untrusted import (
    DESCRIPTION,
    FORMAT,
    ROW_DIGESTS,
    WEIGHTS,
    exported,
    parse_adapter,
    read_description,
)
from taskbank.kinds.canaries import choose_canaries
from taskbank.specs import FOLDS
from taskbank.verify.compare import metric_disagreements
from taskbank.verify.contents import bytes_damage, split_cache

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


def export_files(bank: Bank, record: AdapterRecord) -> dict[str, bytes]:
    """Return the files of an adapter's export, with the evidence to verify it.

    Args:
        bank: an open bank.
        record: the adapter.

    Raises:
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    files: dict[str, bytes] = {WEIGHTS: bank.weights(record)}
    for split in record.splits:
        files[f"{split.name}.jsonl"] = bank.blob(split.digest)
        files[f"{split.name}.logits.safetensors"] = bank.blob(split.predictions)
    if record.row_digests is not None:
        files[ROW_DIGESTS] = bank.blob(record.row_digests)
    identity = bank.backbone(record.backbone).identity
    description = record.to_json() | {"format": FORMAT, "backbone": asdict(identity)}
    # The description is last, because a folder without it is not a valid export.
    text = json.dumps(exported(description), indent=2, ensure_ascii=False)
    files[DESCRIPTION] = (text + "\n").encode()
    return files


def read_folder(bank: Bank, folder: Path, options: ImportOptions) -> NewAdapter:
    """Return an exported adapter, complete with its evidence.

    An export has the digests of its backbone, never the weights. The backbone is loaded from where
    the bank has recorded it, or from where the options say; the place that the export names is not
    used.

    Args:
        bank: an open bank.
        folder: a folder in the format `taskbank`.
        options: what the import is asked for; `backbone` is needed if the bank does not know it.

    Raises:
        InputError: if the folder is not an export, its contents are inconsistent, or the bank does
            not know the backbone and none is given.
        BackboneMismatchError: if the loaded backbone is not that of the adapter.
        ConflictError: if the task exists and no new version is asked for, or if it is of another
            kind.
    """
    options.refuse_others(
        ("name", "new_version", "backbone", "signer"), "taskbank", "the folder has it all"
    )
    signer = None if options.signer is None else Path(options.signer)
    description = read_description(folder / DESCRIPTION, signer)
    new = parse_adapter(folder, description, options.name)
    bank.check_can_add(new.task, new.kind, new_version=options.new_version)
    _check_contents(new, plugins.load("kinds", new.kind))
    loaded = backbone_for(bank, new.backbone, options.backbone)
    check_fit(new, loaded)
    # For a backbone that the bank knows, its own record of the place and the sizes counts.
    return with_canaries(replace(new, backbone=loaded.identity))


def with_canaries(new: NewAdapter) -> NewAdapter:
    """Return an adapter with canaries chosen for each of its splits.

    Args:
        new: an adapter from elsewhere, complete except for its canaries.
    """
    kind: Kind = plugins.load("kinds", new.kind)

    def chosen(split: NewSplit) -> NewSplit:
        columns = Examples.from_bytes(split.examples, split.origin).columns
        predictions = load(split.logits)["logits"]
        rows = choose_canaries(kind, predictions, columns, new.definition)
        return replace(split, canary=rows)

    return replace(
        new,
        splits=tuple(chosen(split) for split in new.splits),
        scored=tuple(replace(one, split=chosen(one.split)) for one in new.scored),
    )


def _check_contents(new: NewAdapter, kind: Kind) -> None:
    blobs = {digest_bytes(new.weights): new.weights}
    predictions = []
    for split in new.all_splits:
        blobs |= {digest_bytes(data): data for data in (split.examples, split.logits)}
        predictions.append(
            {
                "split": split.name,
                "split_digest": digest_bytes(split.examples),
                "digest": digest_bytes(split.logits),
                "rows": split.rows,
            }
        )
    rows = None if new.row_digests is None else digest_bytes(new.row_digests)
    if new.row_digests is not None:
        blobs[digest_bytes(new.row_digests)] = new.row_digests
    row: dict[str, Json] = {
        "digest": digest_bytes(new.weights),
        "parameters": new.parameters,
        "training": new.training.to_json(),
        "labels": new.definition.labels,
        "settings": new.definition.settings,
        "row_digests": rows,
        "kept_rows": None,
    }
    splits = [split.name for split in new.all_splits]
    measured = [(metric.split, metric.name) for metric in new.all_metrics]
    verified = "train" if new.split == FOLDS else new.split
    if verified not in splits or any(len(set(names)) < len(names) for names in (splits, measured)):
        raise InputError(
            f"it must have split {verified!r}, and each split and metric only once, but it has "
            f"the splits {splits} and the metrics {measured}; export it again"
        )
    for check, message in bytes_damage(blobs.__getitem__, row, predictions, kind, split_cache()):
        raise InputError(f"the check {check!r} failed: {message}")
    for metric in new.all_metrics:
        if metric.split not in (*splits, new.split):
            raise InputError(f"{metric.name} is on split {metric.split!r}, which it does not have")
    for split in new.all_splits:
        for message in _metrics_damage(new, split, kind):
            raise InputError(f"{message}; {DESCRIPTION} may have been changed, so export it again")


def _metrics_damage(new: NewAdapter, split: NewSplit, kind: Kind) -> Iterator[str]:
    """Yield descriptions of a split's metrics that its examples and predictions contradict.

    This detects labels and settings that were changed to give the predictions another meaning.
    """
    predictions = load(split.logits)["logits"]
    if not np.isfinite(predictions).all():
        yield f"a reference prediction of split {split.name!r} is NaN or infinite"
        return
    examples = Examples.from_bytes(split.examples, split.name)
    recomputed = kind.metrics(predictions, examples.columns, new.definition)
    own = [metric for metric in new.all_metrics if metric.split == split.name]
    for metric in own:
        if metric.name not in recomputed:
            yield f"{metric.name} on split {split.name!r} is not a metric of kind {kind.name!r}"
        elif metric.count != recomputed[metric.name].count:
            yield (
                f"{metric.name} on split {split.name!r} is of {metric.count:,} examples, but the "
                f"split has {recomputed[metric.name].count:,}"
            )
    values = {name: metric.value for name, metric in recomputed.items()}
    recorded = {metric.name: metric.value for metric in own}
    yield from metric_disagreements(split.name, recorded, values)
