"""Scores a stored adapter on newly labelled data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewScoredSplit
from taskbank.bank.records import AdapterRecord, MetricRecord
from taskbank.data.alike_labels import match_labels
from taskbank.data.examples import Examples
from taskbank.data.label_names import label_names_for
from taskbank.data.sources import read_examples
from taskbank.data.style import Style
from taskbank.digests import Json, canonical_json
from taskbank.errors import DamagedError
from taskbank.kinds.intervals import difference_interval, interval
from taskbank.kinds.kind import input_fields
from taskbank.model.load import encode_for, load_model, load_recorded_backbone
from taskbank.model.predict import predict_examples
from taskbank.model.trunk import add_trunk_states
from taskbank.pipeline.storage import new_split
from taskbank.training.evaluation import chance_of_score, measure

if TYPE_CHECKING:
    from taskbank.kinds.class_report import ClassReport
    from taskbank.kinds.kind import Kind

UNRECORDED = "data"  # the name of a split that is not recorded


@dataclass(frozen=True)
class Scored:
    """The score of an adapter on newly labelled data.

    Attributes:
        ref: the adapter, such as `sst2@3`.
        kind: the task's kind.
        split: the name under which the data was recorded; None if it was not.
        origin: where the data came from.
        rows: number of examples.
        digest: digest of the examples.
        metric: the adapter's metric.
        metrics: every metric on the data.
        recorded: the adapter's recorded score, on its own split.
        difference: how much higher the metric is on the data than it was recorded.
        difference_interval: the 95 % interval of the difference; None if the recorded score is of
            the same examples.
        chance: the probability of a score as good if the predictions had nothing to do with the
            labels; None if the kind has none.
        classes: the scores and confusions of every class; None for a kind without classes.
        known: number of examples whose inputs are in each of the adapter's stored splits, by split.
        trained_on: whether the data is what the adapter was trained on.
    """

    ref: str
    kind: str
    split: str | None
    origin: str
    rows: int
    digest: str
    metric: str
    metrics: tuple[MetricRecord, ...]
    recorded: MetricRecord
    difference: float
    difference_interval: tuple[float, float] | None
    chance: float | None
    classes: ClassReport | None
    known: Mapping[str, int]
    trained_on: bool

    @property
    def score(self) -> float:
        """The value of the adapter's metric on the data."""
        return next(one.value for one in self.metrics if one.name == self.metric)

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank score --json` prints."""
        kind: Kind = plugins.load("kinds", self.kind)
        return vars(self) | {
            "score": self.score,
            "metrics": [vars(one) | {"interval": interval(kind, one)} for one in self.metrics],
            "recorded": vars(self.recorded) | {"interval": interval(kind, self.recorded)},
            "classes": None if self.classes is None else self.classes.to_json(),
            "known": dict(self.known),
        }


def score(
    bank: Bank,
    ref: str,
    data: Any,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    style: Style | None = None,
    label_names: str | Sequence[str] | None = None,
    merge_labels: bool = False,
    record: str | None = None,
    backbone: str | None = None,
    device: str | None = None,
) -> Scored:
    """Score a stored adapter on newly labelled data.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        data: the labelled data; see `TaskSpec.train`.
        text: column of the first text of an input.
        text_pair: column of the second text of an input.
        label: column of the label.
        style: what is said about how files are written; None means that the files show it.
        label_names: names of the classes, in order, if the data has whole numbers from 0 for them:
            a list, a text of names with commas between them, or a file with one name per line.
        merge_labels: read a label that differs from one of the task's only in letter case, or is
            the same number, as that one.
        record: name of the split under which the data and the predictions are recorded, to be
            verified with the adapter from then on; None records nothing.
        backbone: source to load the backbone from; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.

    Raises:
        NotFoundError: if the bank has no such adapter.
        InputError: if the data cannot be read or does not fit the task, or the name is invalid.
        ConflictError: if the adapter is retired or already has a split of that name.
        BackboneMismatchError: if the backbone differs from the recorded one.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    adapter = bank[ref]
    if record is not None:
        bank.check_can_score(adapter, record)
    kind: Kind = plugins.load("kinds", adapter.kind)
    names = label_names_for(kind.name, kind.label, label_names)
    examples = read_examples(
        data,
        [input_fields(kind, adapter.definition)],
        kind.label,
        text=text,
        text_pair=text_pair,
        label_column=label,
        style=style,
        label_names=names,
    )
    labels = adapter.definition.labels
    examples = match_labels(examples, kind.label, labels, merge=merge_labels)
    kind.check(examples.columns, adapter.definition, examples.origin)
    predictions = _predict(bank, adapter, kind, examples, backbone, device)
    name, definition = record or UNRECORDED, adapter.definition
    metrics = tuple(measure(kind, name, predictions, examples.columns, definition))
    if record is not None:
        split = new_split(record, kind, examples, predictions, definition)
        bank.put_split(adapter.ref, NewScoredSplit(split, metrics))
    own = {(one.split, one.name): one for one in adapter.metrics}
    recorded = own[adapter.split, adapter.metric]
    measured = next(one for one in metrics if one.name == adapter.metric)
    same = any(split.digest == examples.digest for split in adapter.splits if not split.scored_at)
    return Scored(
        ref=adapter.ref,
        kind=adapter.kind,
        split=record,
        origin=examples.origin,
        rows=len(examples),
        digest=examples.digest,
        metric=adapter.metric,
        metrics=metrics,
        recorded=recorded,
        difference=measured.value - recorded.value,
        difference_interval=None if same else difference_interval(kind, recorded, measured),
        chance=chance_of_score(kind, adapter.metric, predictions, examples.columns, definition),
        classes=kind.by_class(predictions, examples.columns, definition),
        known=_known_inputs(bank, adapter, kind, examples),
        trained_on=adapter.course.get("train", {}).get("digest") == examples.digest,
    )


def _predict(
    bank: Bank,
    adapter: AdapterRecord,
    kind: Kind,
    examples: Examples,
    backbone: str | None,
    device: str | None,
) -> np.ndarray:
    loaded = load_recorded_backbone(bank, bank.backbone(adapter.backbone), backbone, device)
    encoded = encode_for(adapter, loaded, examples.columns)
    model = load_model(bank, adapter, loaded)
    predictions = predict_examples(model, kind, add_trunk_states(model, encoded, stored=False))
    # NaN and infinity count as changed even when compared with themselves.
    broken = kind.changes(predictions, predictions, examples.columns, adapter.definition).changed
    if broken.any():
        raise DamagedError(
            f"{adapter.ref} produced NaN or infinity for row {broken.argmax() + 1} of "
            f"{examples.origin}: run taskbank verify-all --task {adapter.ref}"
        )
    return predictions


def _known_inputs(
    bank: Bank, adapter: AdapterRecord, kind: Kind, examples: Examples
) -> dict[str, int]:
    """Return how many examples have inputs that are in each of an adapter's own splits."""

    def inputs(given: Examples) -> list[str]:
        names = sorted(given.columns.keys() - {kind.label.name})
        rows = zip(*(given.columns[name] for name in names), strict=True)
        return [canonical_json(list(row)) for row in rows]

    new = inputs(examples)
    known = {}
    for split in adapter.splits:
        if split.scored_at is None:
            stored = set(inputs(bank.examples(adapter, split.name)))
            known[split.name] = sum(one in stored for one in new)
    return known
