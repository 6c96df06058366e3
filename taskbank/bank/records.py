"""The frozen records that a bank returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.digests import Json
from taskbank.errors import NotFoundError
from taskbank.kinds.definition import Definition
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    import torch

Blob = bytes  # inside a record, `bytes` is the field


@dataclass(frozen=True)
class MetricRecord:
    """A metric's value on one split.

    Attributes:
        split: `validation` or `test`.
        name: such as `accuracy`.
        value: the metric.
        standard_error: of the value over examples.
        count: number of examples.
    """

    split: str
    name: str
    value: float
    standard_error: float
    count: int


@dataclass(frozen=True)
class SplitRecord:
    """A stored split of an adapter and its reference predictions.

    Attributes:
        name: `validation` or `test`.
        origin: where the examples came from, for people.
        rows: number of examples.
        digest: of the stored examples.
        predictions: digest of what was predicted when the adapter was added.
        reference: digest of the predictions that count now.
        canary: positions of the examples that flip first; none were chosen for an adapter from
            before there were canaries.
        accepted: the verification whose predictions became the reference; none if it is
            `predictions`.
    """

    name: str
    origin: str
    rows: int
    digest: str
    predictions: str
    reference: str
    canary: tuple[int, ...] = ()
    accepted: int | None = None


@dataclass(frozen=True)
class TrialRecord:
    """One training of a task as the bank has it; the attributes are those of `NewTrial`.

    Attributes:
        digest: of the stored weights; none where they were not kept.
        created_at: when it was recorded, ISO 8601 in UTC.
    """

    task: str
    kind: str
    backbone: str
    specification: str
    method: str
    options: Mapping[str, Json]
    training: Mapping[str, Json]
    data: Mapping[str, Json]
    labels: tuple[str, ...]
    settings: Mapping[str, Json]
    status: str
    metric: str
    score: float
    metrics: tuple[MetricRecord, ...]
    parameters: int
    digest: str | None
    environment: Mapping[str, Json]
    created_at: str
    read_blob: Callable[[str], Blob] = field(repr=False, compare=False)

    def value(self, split: str, metric: str | None = None) -> float | None:
        """Return a metric on a split, by default its own; none if it was not measured."""
        wanted = (split, metric or self.metric)
        return next((m.value for m in self.metrics if (m.split, m.name) == wanted), None)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by name.

        Raises:
            NotFoundError: if its weights were not kept.
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        from safetensors.torch import load

        if self.digest is None:
            raise NotFoundError(
                f"the weights of this trial of {self.task!r} were not kept: train it again with "
                "--keep-trials"
            )
        tensors: dict[str, torch.Tensor] = load(self.read_blob(self.digest))
        return tensors

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank trials --json` prints: everything but the bytes."""
        names = (name for name in self.__dataclass_fields__ if name != "read_blob")
        plain = {name: getattr(self, name) for name in names}
        return plain | {"metrics": [vars(measured) for measured in self.metrics]}


@dataclass(frozen=True)
class BackboneRecord:
    """A backbone as the bank knows it."""

    identity: BackboneIdentity
    fingerprint: str
    created_at: str


@dataclass(frozen=True)
class AdapterRecord:
    """One stored version of a task.

    Attributes:
        task: the task's name.
        version: 1, 2, …
        kind: shape of the task, such as `single` or `pair`.
        method: how it was adapted, such as `houlsby`.
        metric: name of the task's own metric.
        score: its value on `split`.
        split: the split that the score is of: `test` where there is one, else `validation`.
        parameters: number of trained parameters.
        bytes: size of the stored weights.
        digest: of the stored weights.
        backbone: fingerprint of the backbone it belongs to.
        created_at: when it was recorded, ISO 8601 in UTC.
        options: every option of the method.
        training: every hyperparameter of the training.
        labels: names of the classes, in the order of the outputs.
        settings: what else its kind needs to know, such as thresholds.
        description: free text.
        environment: versions, device, seed and duration of the training.
        tags: keys and values given when it was added.
        metrics: every metric on every split.
        splits: the stored splits.
        retired: whether it is out of use, and will be destroyed by `gc`.
        id: of its row in the catalog.
    """

    task: str
    version: int
    kind: str
    method: str
    metric: str
    score: float
    split: str
    parameters: int
    bytes: int
    digest: str
    backbone: str
    created_at: str
    options: Mapping[str, Json]
    training: Mapping[str, Json]
    labels: tuple[str, ...]
    settings: Mapping[str, Json]
    description: str
    environment: Mapping[str, Json]
    tags: Mapping[str, str]
    metrics: tuple[MetricRecord, ...]
    splits: tuple[SplitRecord, ...]
    retired: bool
    id: int = field(repr=False, compare=False)
    read_blob: Callable[[str], Blob] = field(repr=False, compare=False)

    @property
    def ref(self) -> str:
        """The adapter's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"

    @property
    def definition(self) -> Definition:
        """Labels and settings: how the task's outputs are read."""
        return Definition(self.labels, self.settings)

    def weights(self) -> Blob:
        """Return the stored safetensors bytes, checked against their digest.

        Raises:
            DamagedError: if they are gone or are not the bytes that were recorded.
        """
        return self.read_blob(self.digest)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by name: adapter, LayerNorms and head.

        Raises:
            DamagedError: if the bytes are gone or are not what was recorded.
        """
        from safetensors.torch import load

        tensors: dict[str, torch.Tensor] = load(self.weights())
        return tensors

    def summary(self) -> dict[str, Json]:
        """Return what `taskbank list --json` prints of an adapter."""
        return {name: getattr(self, name) for name in SUMMARY}

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank show --json` prints: everything but the bytes."""
        return self.summary() | {
            "options": dict(self.options),
            "training": dict(self.training),
            "labels": list(self.labels),
            "settings": dict(self.settings),
            "description": self.description,
            "tags": dict(self.tags),
            "metrics": [vars(measured) for measured in self.metrics],
            "splits": [vars(split) for split in self.splits],
            "environment": dict(self.environment),
            "retired": self.retired,
        }


SUMMARY = (
    "task",
    "version",
    "kind",
    "method",
    "metric",
    "score",
    "split",
    "parameters",
    "bytes",
    "digest",
    "backbone",
    "created_at",
)


@dataclass(frozen=True)
class Observation:
    """What an adapter predicted for one of its splits when it was verified.

    Attributes:
        split: the split's name.
        noise: how far rounding alone was found to move an output.
        predictions: digest of what was predicted.
    """

    split: str
    noise: float
    predictions: str


@dataclass(frozen=True)
class Voucher:
    """An earlier verification that speaks for an adapter, as nothing has changed since.

    Attributes:
        verification: its number.
        status: what it said: `ok` or `changed`.
        recorded: the adapter's score by its reference predictions.
        observed: its score then.
    """

    verification: int
    status: str
    recorded: float
    observed: float | None


@dataclass(frozen=True)
class AliasRecord:
    """One step in an alias's history; version none means that it was dropped."""

    task: str
    alias: str
    version: int | None
    set_at: str


@dataclass(frozen=True)
class Garbage:
    """What a garbage collection destroys, or would."""

    adapters: tuple[str, ...]
    blobs: int
    bytes: int
