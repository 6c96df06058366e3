"""Suggests the stored versions whose adapters a new task would do well to start from.

No training is needed: a version helps if the new task's labels can be read off the backbone's
vectors more easily with its adapter than without.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from taskbank import plugins
from taskbank.backbone.adaptation import Adaptation
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import concatenate
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.methods.linear import LINEAR
from taskbank.model.load import encode_for, load_model
from taskbank.model.vectors import pooled_vectors
from taskbank.pipeline.opening import resolve_backbone
from taskbank.runtime.device import fastest_precision
from taskbank.specs import TaskSpec, TrainingSpec
from taskbank.training.logme import KINDS, evidence, probe
from taskbank.training.task_data import TaskData, read_task_data

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.kinds.kind import Kind

ROWS = 200  # rows of the new task, with which LogME ranks as it does with more
FOLDS = 5
# Of more versions, only those with the most similar texts are tried out: so many passes of 200
# short texts take seconds on two cores.
COMPARED = 24
SAMPLED = 8  # rows of a stored split: enough for the direction of their mean
CHANCE = 0.05  # probability of any suggestion at all if no version helps


@dataclass(frozen=True)
class Suggestion:
    """A stored version whose adapter helps a new task.

    Attributes:
        ref: the version, such as `sst2@3`.
        digest: digest of its weights.
        method: its method.
        options: the method's options.
        logme: LogME of the new task's rows under its adapter; see `taskbank.training.logme`.
        score: the metric of a cross-validated linear probe under its adapter.
        p_value: the probability of so large a gain over the bare backbone by chance, corrected for
            the number of versions that were compared.
    """

    ref: str
    digest: str
    method: str
    options: Mapping[str, Json]
    logme: float
    score: float
    p_value: float


@dataclass(frozen=True)
class Suggestions:
    """The stored versions that help a new task, the best first.

    Attributes:
        metric: the name of the metric of the scores.
        rows: number of rows of the new task that were used.
        candidates: number of versions that were considered.
        compared: number of versions whose adapters were tried out.
        logme: LogME under the bare backbone.
        score: the metric of the linear probe under the bare backbone.
        versions: the versions that help; empty if none does.
    """

    metric: str
    rows: int
    candidates: int
    compared: int
    logme: float
    score: float
    versions: tuple[Suggestion, ...]

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank suggest --json` prints."""
        return asdict(self)


def suggest(
    bank: Bank,
    train_data: Any,
    *,
    kind: str = "single",
    top: int = 3,
    task: str = "*",
    backbone: str | os.PathLike[str] | None = None,
    device: str | None = None,
    **fields: Any,
) -> Suggestions:
    """Return the stored versions whose adapters would help a new task the most.

    The newest version of each task is considered. One helps if LogME and the cross-validated linear
    probe are both better under its adapter than under the bare backbone, the probe by more than
    chance explains. They are ranked by LogME.

    Args:
        bank: an open bank.
        train_data: the new task's training data, as `add_task` takes it; 200 rows of it are used.
        kind: the new task's kind: `single`, `pair` or `regression`.
        top: the largest number of versions to return.
        task: a pattern of the names of the tasks to consider, such as `ticket-*`.
        backbone: the backbone's source; None means the only backbone of the bank.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        fields: further fields of `TaskSpec` that say how the data is read, such as `text`.

    Raises:
        InputError: if the kind has no single target per input, or the data cannot be read.
        BackboneMismatchError: if the backbone differs from the recorded one.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    if kind not in KINDS:
        raise InputError(
            f"suggest compares versions for the kinds {', '.join(KINDS)}, not for {kind!r}: name "
            "a version with add-task --from, which tries it out by training"
        )
    if top < 1:
        raise InputError(f"top is {top}: it must be at least 1")
    given = {name: value for name, value in fields.items() if value is not None}
    spec = TaskSpec.of(
        {"name": "new", "train": train_data, "kind": kind, "rows": ROWS, "folds": FOLDS} | given
    )
    loaded_kind: Kind = plugins.load("kinds", kind)
    data = read_task_data(loaded_kind, spec)
    loaded = resolve_backbone(bank, backbone, device)
    newest = {one.task: one for one in bank.adapters(backbone=loaded.identity.fingerprint)}
    candidates = [
        record
        for name, record in newest.items()
        # A linear probe has no adapter, and an ensemble several: no training starts from either.
        if fnmatchcase(name, task) and record.method != LINEAR.name and record.ensemble == 1
    ]
    return compare(bank, loaded, loaded_kind, data, candidates, top)


def compare(
    bank: Bank,
    backbone: Backbone,
    kind: Kind,
    data: TaskData,
    candidates: Sequence[AdapterRecord],
    top: int,
    *,
    tried: bool = False,
) -> Suggestions:
    """Return those of some versions that help a new task, as `suggest` does.

    Args:
        bank: an open bank.
        backbone: the backbone of the versions.
        kind: the new task's kind.
        data: the new task's data, with folds.
        candidates: the versions.
        top: the largest number of versions to return.
        tried: whether trainings test what is returned. Then the probability of a gain by chance is
            not corrected for the number of versions.
    """
    columns, definition = data.train.columns, data.definition
    length = min(TrainingSpec.max_length, backbone.identity.max_length)
    encoded = kind.encode(backbone.tokenizer, columns, definition, length, labelled=True)
    targets = encoded.input_targets["targets"]
    # A column per class, or the numbers.
    wide = np.eye(kind.outputs(definition))[targets] if targets.dtype.kind == "i" else targets
    wide = wide.reshape(len(encoded), -1).astype(np.float64)
    fold_of = np.array(data.fold_of)
    bare = Adaptation(backbone)
    # In the precision of trainings: the measures move by less than they differ between versions.
    bfloat16 = fastest_precision(str(backbone.device)) == "bfloat16"
    with torch.autocast(backbone.device.type, torch.bfloat16, enabled=bfloat16):
        (frozen,) = pooled_vectors(backbone, [(bare, encoded)])
        compared = candidates
        if len(candidates) > COMPARED:
            compared = _most_alike(bank, backbone, bare, frozen.mean(axis=0), candidates)
        pairs = [(load_model(bank, record, backbone).adaptation, encoded) for record in compared]
        adapted = pooled_vectors(backbone, pairs) if pairs else []

    def measure(vectors: np.ndarray) -> tuple[float, float, np.ndarray]:
        predictions = probe(vectors, wide, fold_of)
        score = kind.scores(predictions.astype(np.float32), columns, definition)[kind.metric]
        return evidence(vectors, wide), score, ((predictions - wide) ** 2).sum(axis=1)

    floor, floor_score, floor_errors = measure(frozen)
    found = []
    for record, vectors in zip(compared, adapted, strict=True):
        logme, score, errors = measure(vectors)
        own = _chance(floor_errors - errors)
        p_value = min(1.0, own * len(compared))
        if logme > floor and score > floor_score and (own if tried else p_value) < CHANCE:
            found.append(
                Suggestion(
                    record.ref,
                    record.digest,
                    record.method,
                    dict(record.options),
                    logme,
                    score,
                    p_value,
                )
            )
    ranked = sorted(found, key=lambda one: (-one.logme, one.ref))[:top]
    return Suggestions(
        kind.metric,
        len(encoded),
        len(candidates),
        len(compared),
        floor,
        floor_score,
        tuple(ranked),
    )


def _most_alike(
    bank: Bank,
    backbone: Backbone,
    bare: Adaptation,
    mean: np.ndarray,
    candidates: Sequence[AdapterRecord],
) -> list[AdapterRecord]:
    """Return the versions whose stored texts are most like those of a new task.

    The mean vectors are computed from a few rows of each stored split rather than stored: that
    takes less time than one adapter, and needs no further column in the bank.

    Args:
        bank: an open bank.
        backbone: the frozen backbone.
        bare: an adaptation that changes nothing.
        mean: the mean vector of the new task's texts under the bare backbone.
        candidates: the versions.
    """
    inputs = []
    for record in candidates:
        examples = bank.examples(record, record.verified_split)
        rows = np.unique(np.linspace(0, len(examples) - 1, SAMPLED).astype(int)).tolist()
        columns = examples.select(rows, examples.origin).columns
        inputs.append(encode_for(record, backbone, columns))
    (joined,) = pooled_vectors(backbone, [(bare, concatenate(inputs))])
    ends = np.cumsum([len(encoded) for encoded in inputs])[:-1]
    means = np.array([vectors.mean(axis=0) for vectors in np.split(joined, ends)])
    # Without what all texts have in common, the vectors of an encoder point apart.
    common = means.mean(axis=0)
    means, mean = means - common, mean - common
    norms = np.linalg.norm(means, axis=1) * np.linalg.norm(mean)
    alike = means @ mean / np.maximum(norms, np.finfo(np.float32).tiny)
    order = np.argsort(-alike, kind="stable")[:COMPARED]
    return [candidates[number] for number in sorted(order.tolist())]


def _chance(gains: np.ndarray) -> float:
    """Return the probability of so large a mean gain by chance: a paired one-sided t-test.

    Args:
        gains: how much smaller the squared error of each example is.
    """
    from scipy.stats import ttest_1samp

    if not gains.any():
        return 1.0
    return float(ttest_1samp(gains, 0, alternative="greater").pvalue)
