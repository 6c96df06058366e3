"""The page of a version: what it is made of, what it got right and wrong, and how to call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, ResultSummary, describe_ensemble
from taskbank.counts import size
from taskbank.data.repeat_remarks import contradictions_remark, describe_split
from taskbank.digests import Json, canonical_json
from taskbank.errors import TaskbankError
from taskbank.kinds.kind import input_fields
from taskbank.pages.charts import Sparkline, sparkline
from taskbank.pages.evidence import Asked, Evidence, read_evidence
from taskbank.pages.scores import Score, metric_scores, score_of
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

RESULTS = 50  # verifications that are shown
SHOWN_VALUE = 400  # characters of a recorded value
TITLES = ("Adapter", "Options", "Training", "Data", "Backbone", "Task", "Environment", "Course")


@dataclass(frozen=True)
class Group:
    """Recorded values that belong together, by name, as text."""

    title: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class VersionPage:
    """What the page shows.

    Attributes:
        task: the task's name.
        version: the version's number.
        kind: the task's kind.
        method: the adaptation method.
        description: its description.
        retired: whether it is retired.
        aliases: the aliases that point at it.
        tags: its tags.
        labels: the classes.
        score: its score.
        created_at: when it was recorded.
        metrics: every metric.
        groups: everything else that was recorded.
        evidence: what it got right and wrong; None if no split is stored.
        problem: why the evidence cannot be shown; None if it can.
        trend: the score over verifications; None if there are fewer than two.
        results: its newest results of verifications, newest first.
        input: an input as JSON, for the examples of requests.
        python_input: the same as Python.
    """

    template: ClassVar[str] = "version.html"

    task: str
    version: int
    kind: str
    method: str
    description: str
    retired: bool
    aliases: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    score: Score
    created_at: str
    metrics: tuple[Score, ...]
    groups: tuple[Group, ...]
    evidence: Evidence | None
    problem: str | None
    trend: Sparkline | None
    results: tuple[ResultSummary, ...]
    input: str
    python_input: str

    @property
    def ref(self) -> str:
        """The version's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"

    @property
    def title(self) -> str:
        """The page's title."""
        return self.ref


def version_page(bank: Bank, ref: str, asked: Asked = Asked()) -> VersionPage:  # noqa: B008
    """Return what the page of a version shows.

    Args:
        bank: an open bank.
        ref: `NAME@VERSION` or `NAME@ALIAS`.
        asked: which split and examples to show.

    Raises:
        NotFoundError: if there is no such version.
        DamagedError: if a row differs from what was recorded.
    """
    record = bank[ref]
    aliases = bank.current_aliases([record.task]).get(record.task, {})
    results = bank.verification_log.recent_results([(record.task, record.version)], each=RESULTS)
    evidence, problem = None, None
    try:
        evidence = read_evidence(bank, record, asked)
    except TaskbankError as error:  # everything else can be shown
        problem = str(error)
    plain, python = _inputs(record)
    return VersionPage(
        record.task,
        record.version,
        record.kind,
        record.method,
        record.description,
        record.retired,
        tuple(alias for alias, version in aliases.items() if version == record.version),
        tuple(record.tags.items()),
        record.labels,
        score_of(record),
        record.created_at,
        metric_scores(record),
        recorded_groups(bank, record),
        evidence,
        problem,
        sparkline([result.observed for result in results if result.observed is not None]),
        tuple(reversed(results)),
        plain,
        python,
    )


def recorded_groups(bank: Bank, record: AdapterRecord) -> tuple[Group, ...]:
    """Return what was recorded of a version, in groups.

    Args:
        bank: an open bank.
        record: the version.
    """
    identity = bank.backbone(record.backbone).identity
    return tuple(
        Group(title, values)
        for title, values in zip(TITLES, _groups(record, identity), strict=True)
        if values
    )


def _groups(
    record: AdapterRecord, backbone: BackboneIdentity
) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yield the values of each group, in the order of `TITLES`."""
    share = record.parameters / backbone.parameters
    yield (
        ("parameters", f"{record.parameters:,} ({share:.2%} of the backbone)"),
        ("size", size(record.bytes)),
        ("weights", record.digest),
        ("request", record.request or "none: it was imported"),
        ("recorded", record.created_at),
    )
    yield texts_of(record.options)
    trainings = describe_ensemble(record.training, record.course, record.metric)
    yield texts_of(record.training) + (() if trainings is None else (("trainings", trainings),))
    yield tuple(_data(record))
    yield (
        ("source", backbone.spec),
        ("architecture", f"{backbone.model_type}, {backbone.layers} layers, {backbone.pooling}"),
        ("parameters", f"{backbone.parameters:,}"),
        ("fingerprint", record.backbone),
        ("tokenizer", backbone.tokenizer),
    )
    yield texts_of(record.settings)
    yield texts_of(record.environment)
    course = {name: value for name, value in record.course.items() if not _is_large(value)}
    yield texts_of(course)


def _data(record: AdapterRecord) -> Iterator[tuple[str, str]]:
    for split in record.splits:
        yield split.name, describe_split(split.name, split.rows, split.origin, record.course)
        yield f"{split.name} digest", split.digest
        if split.accepted is not None:
            yield f"{split.name} reference", f"accepted from verification {split.accepted}"
    remark = contradictions_remark(record.course)
    if remark is not None:
        yield "contradictions", remark


def texts_of(values: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Return recorded values as texts by name, shortened."""
    return tuple((name, _short(value)) for name, value in values.items())


def _short(value: Json) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]}…"


def _is_large(value: Json) -> bool:
    return isinstance(value, list | dict) and len(canonical_json(value)) > SHOWN_VALUE


def _inputs(record: AdapterRecord) -> tuple[str, str]:
    """Return an input of the version's kind as JSON and as Python."""
    kind: Kind = plugins.load("kinds", record.kind)
    fields = input_fields(kind, record.definition)
    if len(fields) > 1:
        texts = ", ".join(f'"the {field.name.replace("_", " ")}"' for field in fields)
        return f"[{texts}]", f"({texts})"
    one = '["each", "word"]' if fields[0].type == "words" else '"the text"'
    return one, one
