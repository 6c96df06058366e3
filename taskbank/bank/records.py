"""Frozen records that a bank returns. They hold plain data and can be pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskbank.counts import counted
from taskbank.digests import Json
from taskbank.kinds.definition import Definition
from taskbank.specs import FOLDS, BackboneIdentity


@dataclass(frozen=True)
class MetricRecord:
    """A metric's value on one split.

    Attributes:
        split: `validation` or `test`; `folds` for a cross-validation, and then also `train`.
        name: the metric's name, such as `accuracy`.
        value: the metric's value.
        standard_error: the standard error of the value over the examples.
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
        name: `validation` or `test`; `train` if a cross-validation gave the score; or the name of a
            further split.
        origin: where the examples came from, as text for people.
        rows: number of examples.
        digest: digest of the stored examples.
        predictions: digest of the predictions made when the adapter was added.
        reference: digest of the current reference predictions.
        canary: positions of the examples that flip first; empty for adapters recorded before
            canaries existed.
        accepted: number of the verification whose predictions became the reference; None if the
            reference is `predictions`.
        scored_at: when a further split was scored, ISO 8601 in UTC; None for a split that was
            recorded with the adapter.
    """

    name: str
    origin: str
    rows: int
    digest: str
    predictions: str
    reference: str
    canary: tuple[int, ...] = ()
    accepted: int | None = None
    scored_at: str | None = None


@dataclass(frozen=True)
class Parent:
    """A stored version whose adapter or training rows another version was made from.

    Parents are equal if their bytes and weights are, whatever their names.

    Attributes:
        ref: its full name, such as `sst2@3`, in the bank of the training.
        digest: digest of its weights.
        weight: its weight in the average that the training started from; 1 without an average.
    """

    ref: str = field(compare=False)
    digest: str
    weight: float = 1.0

    def to_json(self) -> dict[str, Json]:
        """Return what the course of a training has of the parent."""
        average = {} if self.weight == 1 else {"weight": self.weight}
        return {"ref": self.ref, "digest": self.digest} | average


def parents_of(course: Mapping[str, Json]) -> tuple[Parent, ...]:
    """Return the parents of an adapter or a trial; none if it started untrained and is no update.

    Args:
        course: the course of its training.
    """
    return tuple(Parent(**parent) for parent in course.get("parents", ()))


def origin_of(course: Mapping[str, Json]) -> str:
    """Return how an adapter was made from its parents: `updated from`, or `started from`."""
    return "updated from" if "update" in course else "started from"


def describe_parents(parents: Sequence[Parent]) -> str:
    """Return the names of parents, with their weights if there are several."""
    if len(parents) == 1:
        return parents[0].ref
    return ", ".join(f"{parent.ref} ({parent.weight:g})" for parent in parents)


def describe_imported(imported: Mapping[str, Json]) -> str:
    """Return where an adapter of another library came from, for people.

    Args:
        imported: what the course of a version records as `imported`.
    """
    versions = ", ".join(f"{name} {version}" for name, version in imported["versions"].items())
    base = imported["base"] or "no named base"
    place = f"{imported['from']}, " if "from" in imported else ""
    return f"{place}{versions or imported['format']}, for {base}, {imported['digest']}"


def describe_suggested(found: Mapping[str, Json]) -> str:
    """Return which versions the start `auto` tried.

    Args:
        found: what the course of a training records as `suggested`.
    """
    if not found["candidates"]:
        return "no version to compare has this method and its options"
    compared = counted(found["compared"], "compared version")
    if not found["versions"]:
        return f"none of {compared} helps"
    return f"{', '.join(one['ref'] for one in found['versions'])}, of {compared}"


def describe_ensemble(
    training: Mapping[str, Json], course: Mapping[str, Json], metric: str
) -> str | None:
    """Return what the trainings of an ensemble reached on validation; None of a single training.

    Args:
        training: the hyperparameters of a training.
        course: its course, which has no members if it was imported or has folds.
        metric: the name of the task's metric.
    """
    count = training.get("ensemble", 1)
    if count == 1:
        return None
    scores = [
        f"{one['score']:.4f} (seed {one['seed']}{_remark(one)})"
        for one in course.get("members", [])
    ]
    reached = f", validation {metric} {', '.join(scores)}" if scores else ""
    return counted(count, "training") + reached


def _remark(member: Mapping[str, Json]) -> str:
    """Return what is special about a training of an ensemble."""
    status = "" if member["status"] == "complete" else f", {member['status']}"
    seeds = ", ".join(str(other["seed"]) for other in member.get("discarded", ()))
    return status + (f", chosen over seed {seeds}" if seeds else "")


@dataclass(frozen=True)
class TrialRecord:
    """A recorded training of a task; the other attributes are those of `NewTrial`.

    Attributes:
        digest: digest of the stored weights; None if they were not kept.
        created_at: when the trial was recorded, ISO 8601 in UTC.
        course: how the training went; see `AdapterRecord`. `problem` tells why it diverged.
        request: digest of the request that started the trial; None if none was recorded.
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
        """Return a metric's value (default: the trial's metric) on a split; None if unmeasured."""
        key = (split, metric or self.metric)
        return next((m.value for m in self.metrics if (m.split, m.name) == key), None)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank trials --json` prints, without the weights."""
        return vars(self) | {"metrics": [vars(measured) for measured in self.metrics]}


@dataclass(frozen=True)
class BackboneRecord:
    """A recorded backbone."""

    identity: BackboneIdentity
    fingerprint: str
    created_at: str


def verified_split(scored: str) -> str:
    """Return the stored split whose metric a verification compares; see `AdapterRecord`."""
    return "train" if scored == FOLDS else scored


@dataclass(frozen=True)
class AdapterRecord:
    """One stored version of a task.

    Attributes:
        task: the task's name.
        version: 1, 2, …
        kind: the task's kind, such as `single` or `pair`.
        method: the adaptation method, such as `houlsby`.
        metric: name of the task's own metric.
        score: the metric's value on `split`.
        split: the scored split: `test` if there is one, else `validation`; `folds` if a
            cross-validation gave the score.
        parameters: number of trained parameters.
        bytes: size of the stored weights in bytes.
        digest: digest of the stored weights.
        backbone: fingerprint of the backbone it was trained on.
        created_at: when the adapter was recorded, ISO 8601 in UTC.
        options: the method's options.
        training: the training hyperparameters.
        labels: class names, in the order of the outputs.
        settings: further settings of the task's kind, such as thresholds.
        description: free text.
        environment: versions, device and threads of the training.
        tags: the tags given when the adapter was added.
        metrics: every metric on every split.
        splits: the stored splits.
        retired: whether the adapter is retired, so that `gc` will destroy it.
        course: how the training went: `seconds`, `best_epoch`, `epochs` with their losses and
            scores, `truncated`, the number of examples of which tokens were left out, by split (in
            older records `at_max_length`, the number of training inputs of full length), `repeats`,
            the evaluated inputs that are also in train and equal inputs with different labels,
            `folds` with the rows and scores of each, `chance`, the probability of the score if the
            predictions had nothing to do with the labels, `parents`, the stored versions that it
            started from or is an update of, if any, `update`, how it was updated, and `suggested`,
            what was found for the start `auto` (see `taskbank.pipeline.suggest.Suggestions`), and
            of an ensemble `members`, its trainings with seed, score and loss on validation, and
            as `discarded` the same training from other seeds, if one collapsed.
            `imported` tells which format of another library it came in, and from which base and
            bytes. Of the course, an imported adapter has `parents`, `update` and `imported` only.
        request: digest of the request; an equal request need not be trained again. None for an
            imported adapter.
        row_digests: digest of the stored digests of its training rows; None for an adapter that was
            recorded before they existed.
        kept_rows: digest of the stored training rows; None if they were not kept.
        id: the id of its row in the catalog.
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
    row_digests: str | None
    kept_rows: str | None
    id: int = field(repr=False, compare=False)

    @property
    def ref(self) -> str:
        """The adapter's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"

    @property
    def ensemble(self) -> int:
        """Number of trainings whose predictions it combines."""
        return int(self.training.get("ensemble", 1))

    @property
    def verified_split(self) -> str:
        """The stored split whose metric a verification compares.

        It is the scored split. A score of a cross-validation has no stored split, as other
        trainings predicted its examples; then it is `train`, as the adapter itself predicts it.
        """
        return verified_split(self.split)

    @property
    def verified_score(self) -> float:
        """The recorded value of the adapter's metric on `verified_split`."""
        value = self.value(self.verified_split)
        return self.score if value is None else value

    def value(self, split: str) -> float | None:
        """Return the value of the adapter's metric on a split; None if it was not measured."""
        key = (split, self.metric)
        return next((m.value for m in self.metrics if (m.split, m.name) == key), None)

    @property
    def definition(self) -> Definition:
        """The task's labels and settings, which determine how outputs become answers."""
        return Definition(self.labels, self.settings)

    def summary(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank list --json` prints for an adapter."""
        return {name: getattr(self, name) for name in SUMMARY_FIELDS}

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank show --json` prints, without the weights."""
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
            "row_digests": self.row_digests,
            "kept_rows": self.kept_rows,
            "retired": self.retired,
        }


SUMMARY_FIELDS = (
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
    """An adapter's predictions for one of its splits, made during a verification.

    Attributes:
        split: the split's name.
        noise: the measured bound on how far rounding alone moves an output.
        predictions: digest of the predictions.
    """

    split: str
    noise: float
    predictions: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An earlier result that still applies because nothing it depends on has changed.

    Attributes:
        verification: the earlier verification's number.
        status: the reported status: `ok` or `changed`.
        recorded: the adapter's score from its reference predictions.
        observed: the adapter's score in that verification.
    """

    verification: int
    status: str
    recorded: float
    observed: float | None


@dataclass(frozen=True)
class RunRecord:
    """An unfinished verification that has started to predict.

    Attributes:
        id: the run's number.
        level: the verification's level.
        tasks: references of the requested adapters; empty means every adapter.
        environment: versions, device and threads.
        started_at: when it started, ISO 8601 in UTC.
        adapters: number of adapters observed so far.
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
        level: the verification's level.
        ok: whether there were no findings.
        checked: number of checked adapters.
        tolerance: the largest metric drop that was tolerated when not statistically significant.
        environment: versions, device and threads.
        started_at: when it started, ISO 8601 in UTC.
        finished_at: when it ended, ISO 8601 in UTC.
        run: number of the run whose observations it used; None at level `integrity`.
        confirmed: number of adapters whose earlier result still applied.
        statuses: number of recorded results, by status.
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
class VerificationSummary:
    """A finished verification in a list.

    Attributes:
        id: the verification's number.
        level: the verification's level.
        ok: whether there were no findings.
        checked: number of checked adapters.
        confirmed: number of adapters whose earlier result still applied.
        started_at: when it started, ISO 8601 in UTC.
        finished_at: when it ended, ISO 8601 in UTC.
        findings: number of findings, by the check that failed.
    """

    id: int
    level: str
    ok: bool
    checked: int
    confirmed: int | None
    started_at: str
    finished_at: str
    findings: Mapping[str, int]


@dataclass(frozen=True)
class ResultRecord:
    """A verification's result for one adapter.

    Attributes:
        verification: the verification's number.
        level: the verification's level.
        finished_at: when the verification ended, ISO 8601 in UTC.
        task: the task's name.
        version: the adapter's version.
        status: `ok`, `changed`, `regressed`, `unstable`, `damaged` or `unverifiable`.
        metric: the task's metric.
        recorded: the metric's value from the reference predictions.
        observed: the metric's value in the verification; None if nothing was predicted.
        flips: number of examples whose answer changed.
        examples: number of predicted examples.
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
class ResultSummary:
    """A verification's result for one adapter without its evidence; see `ResultRecord`."""

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


@dataclass(frozen=True)
class FindingRecord:
    """One finding of a verification; a task of None means that it concerns the whole bank."""

    task: str | None
    version: int | None
    check: str
    message: str


@dataclass(frozen=True)
class ResultPage:
    """Some results of a verification.

    Attributes:
        results: the results, those that need attention first.
        next: where the next page begins; None if there are no more.
    """

    results: tuple[ResultRecord, ...]
    next: int | None


@dataclass(frozen=True)
class FindingPage:
    """The first findings of a verification.

    Attributes:
        findings: the findings in their recorded order.
        count: number of all its findings.
    """

    findings: tuple[FindingRecord, ...]
    count: int


@dataclass(frozen=True)
class AcceptanceRecord:
    """A decision to make a verification's predictions the reference of a version."""

    version: int
    verification: int
    reason: str
    accepted_at: str


@dataclass(frozen=True)
class ToleranceRecord:
    """One change of a task's tolerance; None means that each verification sets its own."""

    tolerance: float | None
    set_at: str


@dataclass(frozen=True)
class ScoreRecord:
    """The score of a version that a verification observed."""

    at: str
    task: str
    version: int
    score: float


@dataclass(frozen=True)
class AliasRecord:
    """One change of an alias; a version of None means that the alias was dropped."""

    task: str
    alias: str
    version: int | None
    set_at: str


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened in a bank.

    Attributes:
        at: the time, ISO 8601 in UTC.
        what: `added`, `alias`, `retired`, `verified`, `accepted` or `tolerance`.
        task: the task's name; None for a verification of the whole bank.
        version: the version; None if it concerns no version, and for a dropped alias.
        verification: the verification's number; None without one.
        alias: the alias; None without one.
        text: the level and the status of a verification, or the reason of an acceptance.
        ok: whether a verification found nothing; None without one.
        checked: number of adapters that a verification checked; None without one.
        metric: the metric of `score`; None without one.
        score: the version's score; None without one.
        tolerance: the task's tolerance from then on; None if each verification sets its own.
    """

    at: str
    what: str
    task: str | None = None
    version: int | None = None
    verification: int | None = None
    alias: str | None = None
    text: str = ""
    ok: bool | None = None
    checked: int | None = None
    metric: str | None = None
    score: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Timeline:
    """What happened in a bank, newest first.

    Attributes:
        entries: the entries.
        next: where the next page begins; None if there are no more.
    """

    entries: tuple[TimelineEntry, ...]
    next: str | None


@dataclass(frozen=True)
class Head:
    """The head of a bank's chain, which seals everything recorded up to its entry.

    Attributes:
        entries: number of the entry, counted from 1.
        digest: the head.
        at: when the entry was appended, ISO 8601 in UTC.
    """

    entries: int
    digest: str
    at: str


@dataclass(frozen=True)
class Copied:
    """What a copy from one bank into another did.

    Attributes:
        bank: the uuid of the bank that was copied.
        head: its head at that time.
        copied: number of copied rows, by what they are: `versions`, `trials`, `verifications`, …
        present: number of versions that were there already.
        blobs: number of copied blobs.
        bytes: their size.
        kept: what stays as it was there although the copied bank has something else.
        damaged: why something could not be copied, by its name.
    """

    bank: str
    head: Head
    copied: Mapping[str, int]
    present: int
    blobs: int
    bytes: int
    kept: tuple[str, ...]
    damaged: Mapping[str, str]


@dataclass(frozen=True)
class CopyRecord:
    """What the chain of a bank says of a copy from another one, in one state of that.

    Attributes:
        bank: the uuid of the other bank.
        head: its head at that time.
        entries: number of the entries that its chain had.
        started_at: when the first rows were recorded here, ISO 8601 in UTC.
        finished_at: when the last ones were.
        versions: number of copied versions.
    """

    bank: str
    head: str
    entries: int
    started_at: str
    finished_at: str
    versions: int


@dataclass(frozen=True)
class Garbage:
    """What a garbage collection destroyed or would destroy, and what else is in the blob store.

    Attributes:
        adapters: the retired adapters.
        blobs: number of blobs that only retired adapters needed.
        bytes: size of these blobs.
        strays: digests of the blobs that no row of this bank names; destroyed on request only.
        unfinished: files that interrupted writes left.
        foreign: files that taskbank did not write; they are never destroyed.
        recent: number of strays and unfinished files that are too young to be destroyed.
    """

    adapters: tuple[str, ...]
    blobs: int
    bytes: int
    strays: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    recent: int = 0
