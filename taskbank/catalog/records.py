"""The frozen records that go into a bank and come out of it. Knows nothing of SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskbank.errors import InputError, MissingExtraError, NotFoundError
from taskbank.specs import BackboneIdentity, Definition, Json, MethodSpec, TrainingSpec

if TYPE_CHECKING:
    import pandas
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
class NewSplit:
    """A split to be stored: its examples and the logits that were predicted for them.

    Attributes:
        canary: positions of the examples that flip first.
    """

    name: str
    origin: str
    rows: int
    examples: bytes
    logits: bytes
    canary: tuple[int, ...] = ()


@dataclass(frozen=True)
class NewAdapter:
    """Everything that makes an adapter, ready to be stored whole."""

    task: str
    kind: str
    backbone: BackboneIdentity
    method: MethodSpec
    training: TrainingSpec
    definition: Definition
    metric: str
    split: str
    metrics: tuple[MetricRecord, ...]
    splits: tuple[NewSplit, ...]
    parameters: int
    weights: bytes
    environment: Mapping[str, Json]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The value of the task's metric on its split."""
        for measured in self.metrics:
            if (measured.split, measured.name) == (self.split, self.metric):
                return measured.value
        raise InputError(f"{self.task} has no {self.metric} on {self.split} among its metrics")


@dataclass(frozen=True)
class NewTrial:
    """One training of a task, ready to be recorded.

    Attributes:
        task: the task's name.
        kind: of the task.
        backbone: the one it was trained on.
        specification: digest of everything that decides its bytes.
        method: how the task was adapted.
        training: every hyperparameter.
        data: origin, rows and digest of each split.
        definition: of the task, with what was chosen on validation.
        status: `complete`; `collapsed`: it learned nothing; `pruned`: given up early;
            `diverged`: its loss was no number.
        metric: what it is judged by.
        score: its value on validation.
        metrics: every metric on the splits that it was scored on.
        parameters: number of trained parameters.
        weights: where they are kept.
        environment: versions, device, duration, and how the epochs went.
    """

    task: str
    kind: str
    backbone: BackboneIdentity
    specification: str
    method: MethodSpec
    training: TrainingSpec
    data: Mapping[str, Json]
    definition: Definition
    status: str
    metric: str
    score: float
    metrics: tuple[MetricRecord, ...]
    parameters: int
    weights: bytes | None
    environment: Mapping[str, Json]


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


class Records(tuple[AdapterRecord, ...]):
    """Adapters as a bank gave them: an immutable sequence that sorts, filters and tabulates."""

    __slots__ = ()

    def sort(self, by: str, *, descending: bool = False) -> Records:
        """Return the records ordered by one field.

        Args:
            by: a field such as `score` or `created_at`.
            descending: largest first.

        Raises:
            InputError: if a record has no such field, or its values cannot be ordered.
        """
        if by not in SUMMARY:
            raise InputError(f"records cannot be sorted by {by!r}: use one of {', '.join(SUMMARY)}")
        return Records(sorted(self, key=lambda record: getattr(record, by), reverse=descending))

    def filter(self, keep: Callable[[AdapterRecord], bool]) -> Records:
        """Return the records for which a function is true, in the same order."""
        return Records(record for record in self if keep(record))

    def to_pandas(self) -> pandas.DataFrame:
        """Return a frame with a row an adapter: fields, `metric.*`, `tag.*` and `training.*`.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise MissingExtraError(
                "a frame needs pandas: install it with pip install 'taskbank[pandas]'"
            ) from None
        return pandas.DataFrame.from_records([_flat(record) for record in self])


def _flat(record: AdapterRecord) -> dict[str, Any]:
    groups: Iterable[tuple[str, Iterable[tuple[str, Any]]]] = (
        ("metric", ((f"{m.split}.{m.name}", m.value) for m in record.metrics)),
        ("tag", record.tags.items()),
        ("training", record.training.items()),
        ("options", record.options.items()),
    )
    return record.summary() | {
        f"{group}.{name}": value for group, pairs in groups for name, value in pairs
    }


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
