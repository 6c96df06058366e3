"""The frozen records that a bank returns. They hold plain data and can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    pass


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
        course: how the training went; see `AdapterRecord`. `problem` says why it diverged.
        request: digest of the request that the trial belongs to.
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
    course: Mapping[str, Json]
    request: str | None

    def value(self, split: str, metric: str | None = None) -> float | None:
        """Return a metric on a split, by default its own; none if it was not measured."""
        wanted = (split, metric or self.metric)
        return next((m.value for m in self.metrics if (m.split, m.name) == wanted), None)

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank trials --json` prints: everything but the bytes."""
        return vars(self) | {"metrics": [vars(measured) for measured in self.metrics]}


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
        environment: versions, device and threads of the training.
        tags: keys and values given when it was added.
        metrics: every metric on every split.
        splits: the stored splits.
        retired: whether it is out of use, and will be destroyed by `gc`.
        course: how the training went: `seconds`, `best_epoch`, `epochs` with their losses and
            scores, and `at_max_length`, the number of training inputs that were cut.
        request: digest of what was requested; an equal request need not be trained again. None
            for an imported adapter.
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
    course: Mapping[str, Json]
    request: str | None
    id: int = field(repr=False, compare=False)

    @property
    def ref(self) -> str:
        """The adapter's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"

    @property
    def definition(self) -> Definition:
        """Labels and settings: how the task's outputs are read."""
        return Definition(self.labels, self.settings)

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
            "course": dict(self.course),
            "request": self.request,
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
class Confirmation:
    """An earlier verification whose result still applies, as nothing it depends on has changed.

    Attributes:
        verification: its number.
        status: what it reported: `ok` or `changed`.
        recorded: the adapter's score by its reference predictions.
        observed: its score then.
    """

    verification: int
    status: str
    recorded: float
    observed: float | None


@dataclass(frozen=True)
class RunRecord:
    """A verification that started to predict and has not been recorded as finished.

    Attributes:
        id: the run's number.
        level: of the verification.
        tasks: the references that were asked for; none at all means every adapter.
        environment: versions, device and threads.
        started_at: ISO 8601 in UTC.
        adapters: number of adapters it has observed.
    """

    id: int
    level: str
    tasks: tuple[str, ...]
    environment: Mapping[str, Json]
    started_at: str
    adapters: int


@dataclass(frozen=True)
class VerificationRecord:
    """A finished verification.

    Attributes:
        id: the verification's number.
        level: what was checked.
        ok: whether nothing was found.
        checked: number of adapters that were looked at.
        tolerance: the largest drop of a metric that was tolerated where it may be chance.
        environment: versions, device and threads.
        started_at: ISO 8601 in UTC.
        finished_at: ISO 8601 in UTC.
        run: the run whose observations it used; none at level `integrity`.
        confirmed: number of adapters whose earlier result still applied.
        statuses: number of recorded results by status.
    """

    id: int
    level: str
    ok: bool
    checked: int
    tolerance: float
    environment: Mapping[str, Json]
    started_at: str
    finished_at: str
    run: int | None
    confirmed: int | None
    statuses: Mapping[str, int]


@dataclass(frozen=True)
class ResultRecord:
    """What a verification reported about one adapter.

    Attributes:
        verification: its number.
        level: of the verification.
        finished_at: when the verification ended, ISO 8601 in UTC.
        task: the task's name.
        version: of the task.
        status: `ok`, `changed`, `regressed`, `damaged` or `unverifiable`.
        metric: the task's metric.
        recorded: its value by the reference predictions.
        observed: its value in the verification; none if nothing was predicted.
        flips: examples whose answer changed.
        examples: examples that were predicted.
        shift: the largest change of any output.
        circumstances: digest of everything that the result depends on.
        evidence: noise, p-value, flips by effect, and every metric before and after.
    """

    verification: int
    level: str
    finished_at: str
    task: str
    version: int
    status: str
    metric: str | None
    recorded: float | None
    observed: float | None
    flips: int | None
    examples: int | None
    shift: float | None
    circumstances: str | None
    evidence: Mapping[str, Json] | None


@dataclass(frozen=True)
class FindingRecord:
    """One thing that a verification found; task none means that it concerns the bank."""

    task: str | None
    version: int | None
    check: str
    message: str


@dataclass(frozen=True)
class AcceptanceRecord:
    """Predictions of a verification that became the reference of a version, and why."""

    version: int
    verification: int
    reason: str
    accepted_at: str


@dataclass(frozen=True)
class ToleranceRecord:
    """One step in the history of a task's tolerance; none leaves it to each verification."""

    tolerance: float | None
    set_at: str


@dataclass(frozen=True)
class ScoreRecord:
    """The score of a version, as a verification observed it."""

    at: str
    task: str
    version: int
    score: float


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
