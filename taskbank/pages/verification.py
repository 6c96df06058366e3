"""The page of a verification: what was found and why, and what has changed around it.

The server shows a recorded verification, a page of results at a time. `verify-all --report` writes
the same page of the verification that just ended, whole and in one file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

from taskbank.bank.bank import Bank
from taskbank.bank.records import FindingRecord, ResultRecord, VerificationRecord
from taskbank.checks import LARGEST
from taskbank.digests import Json, canonical_json
from taskbank.errors import InputError, TaskbankError
from taskbank.history.matrix import recorded_scores
from taskbank.pages.charts import Sparkline, sparkline
from taskbank.pages.links import LoneLinks
from taskbank.pages.render import render
from taskbank.pages.verdict import FAILING, Outcome
from taskbank.pages.verifications import duration
from taskbank.runtime.files import write_file
from taskbank.verify import report as reports
from taskbank.verify.report import Flip, Report, Status, TaskResult

ROWS = 50  # results of a page
FINDINGS = 100  # findings that are shown
TREND = 30  # verifications of a sparkline
# What needs attention comes first.
ORDER = ("regressed", "unstable", "damaged", "unverifiable", "unchecked", "changed", "ok")


@dataclass(frozen=True)
class Moved:
    """A metric's value for the reference predictions and for the new ones."""

    split: str
    metric: str
    recorded: float
    observed: float


@dataclass(frozen=True)
class ResultRow:
    """The result of an adapter.

    Attributes:
        task: the task's name.
        version: the adapter's version.
        status: its status.
        metric: the task's metric.
        recorded: the metric's value for the reference predictions; None if it is not known.
        observed: the metric's value for the new predictions; None if nothing was predicted.
        trend: its score over verifications; None if there are fewer than two.
        flips: number of examples whose answer changed; None if nothing was predicted.
        worse: number of those beyond noise whose answer became less correct.
        better: number of those beyond noise whose answer became more correct.
        p_value: the probability of so large a drop by chance, corrected by Holm's method.
        examples: number of examples.
        confirmed_by: number of the earlier verification whose result still applies.
        metrics: every metric before and after.
        flipped: the first examples that flipped, where they are known.
    """

    task: str
    version: int
    status: str
    metric: str | None
    recorded: float | None
    observed: float | None
    trend: Sparkline | None
    flips: int | None
    worse: int | None
    better: int | None
    p_value: float | None
    examples: int | None
    confirmed_by: int | None
    metrics: tuple[Moved, ...]
    flipped: tuple[Flip, ...]

    @property
    def ref(self) -> str:
        """The version's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"


@dataclass(frozen=True)
class Finding:
    """A finding; a task of None means that it concerns the whole bank."""

    task: str | None
    version: int | None
    check: str
    message: str

    @property
    def ref(self) -> str:
        """The version's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"


@dataclass(frozen=True)
class Condition:
    """A part of the environment.

    Attributes:
        name: its name.
        value: its value.
        before: its value in the verification before; None without one.
        changed: whether the two differ.
    """

    name: str
    value: str
    before: str | None
    changed: bool


@dataclass(frozen=True)
class VerificationPage:
    """What the page shows.

    Attributes:
        number: the verification's number; None if it was not recorded.
        level: its level.
        tolerance: the largest metric drop that was tolerated when not statistically significant.
        started_at: when it started.
        finished_at: when it ended.
        outcome: how it ended.
        confirmed: number of adapters that earlier verifications confirmed.
        overrides: what was only tried out, by name.
        unrecorded: why it was not recorded; empty if it was.
        findings: the first findings.
        status: the status of all results shown; None means any.
        rows: results, those that need attention first.
        listed: number of results that there are to show.
        after: where the page begins; None at the beginning.
        next: where the next page begins; None if this is the last.
        environment: its environment beside that of the verification before.
        compared: number of that verification; None if there is none.
        earlier: number of the verification before it; None if there is none.
        later: number of the verification after it; None if there is none.
    """

    template: ClassVar[str] = "verification.html"

    number: int | None
    level: str
    tolerance: float
    started_at: str
    finished_at: str
    outcome: Outcome
    confirmed: int
    overrides: tuple[tuple[str, str], ...]
    unrecorded: str
    findings: tuple[Finding, ...]
    status: str | None
    rows: tuple[ResultRow, ...]
    listed: int
    after: int | None
    next: int | None
    environment: tuple[Condition, ...]
    compared: int | None
    earlier: int | None
    later: int | None

    @property
    def title(self) -> str:
        """The page's title."""
        return "Verification" if self.number is None else f"Verification {self.number}"

    @property
    def statuses(self) -> tuple[tuple[str, int], ...]:
        """The number of adapters by status, those that need attention first."""
        counts = self.outcome.statuses
        return tuple((status, counts[status]) for status in ORDER if counts.get(status))

    @property
    def duration(self) -> str:
        """How long it took."""
        return duration(self.started_at, self.finished_at)

    @property
    def most_flips(self) -> int:
        """The most answers of a result shown that became better or worse."""
        return max((max(row.worse or 0, row.better or 0) for row in self.rows), default=0)

    @property
    def changed(self) -> int:
        """Number of parts of the environment that differ from the verification before."""
        return sum(condition.changed for condition in self.environment)


def verification_page(
    bank: Bank,
    number: int,
    *,
    status: str | None = None,
    after: int | None = None,
    rows: int = ROWS,
) -> VerificationPage:
    """Return what the page of a recorded verification shows.

    Args:
        bank: an open bank.
        number: the verification's number.
        status: show only results with this status.
        after: where the page before ended; None means the beginning.
        rows: number of results of the page.

    Raises:
        InputError: if there is no such status.
        NotFoundError: if there is no such verification.
        DamagedError: if its row differs from what was recorded.
    """
    if status is not None and status not in get_args(Status):
        raise InputError(
            f"status {status[:40]!r} is unknown: use one of {', '.join(get_args(Status))}"
        )
    log = bank.verification_log
    record = log.verification(min(number, LARGEST))
    earlier, later, compared = log.neighbours(number, predicted=record.run is not None)
    found = log.finding_page(number, FINDINGS)
    page = log.result_page(number, status=status, after=after, limit=rows)
    trends = _trends(bank, page.results)
    statuses = dict(record.statuses)
    affected = {(one.task, one.version) for one in found.findings if one.task is not None}
    outcome = Outcome(
        record.ok,
        record.checked,
        record.checked,
        max(sum(statuses.get(name, 0) for name in FAILING), len(affected)),
        found.count,
        any(one.check == "strict" for one in found.findings),
        statuses,
    )
    return VerificationPage(
        number,
        record.level,
        record.tolerance,
        record.started_at,
        record.finished_at,
        outcome,
        record.confirmed or 0,
        (),
        "",
        _findings(found.findings),
        status,
        tuple(_recorded_row(one, trends.get(f"{one.task}@{one.version}")) for one in page.results),
        statuses.get(status, 0) if status is not None else sum(statuses.values()),
        after,
        page.next,
        _environment(record.environment, None if compared is None else log.verification(compared)),
        compared,
        earlier,
        later,
    )


def report_page(
    report: Report,
    scores: Mapping[str, Sequence[float]] | None = None,
    before: VerificationRecord | None = None,
) -> VerificationPage:
    """Return what the page of a verification shows that has just ended.

    Args:
        report: the verification.
        scores: the scores of each adapter, by its full name such as `sst2@3`, oldest first.
        before: the verification before it, to compare its environment with.
    """
    counts: Counter[str] = Counter(task.status for task in report.tasks)
    failing = {task.ref for task in report.tasks if task.status in FAILING}
    failing |= {finding.ref for finding in report.findings if finding.ref is not None}
    outcome = Outcome(
        report.ok,
        report.checked,
        len(report.tasks),
        len(failing),
        len(report.findings),
        any(finding.check == "strict" for finding in report.findings),
        dict(counts),
        report.interrupted,
    )
    known = scores or {}
    results = sorted(report.tasks, key=lambda task: ORDER.index(task.status))
    return VerificationPage(
        report.id,
        report.level,
        report.tolerance,
        report.started_at,
        report.finished_at,
        outcome,
        report.confirmed,
        tuple(report.what_if.items()),
        report.unrecorded or "",
        _findings(report.findings),
        None,
        tuple(_fresh_row(task, sparkline(known.get(task.ref, ()))) for task in results),
        len(results),
        None,
        None,
        _environment(report.environment, before),
        None if before is None else before.id,
        None,
        None,
    )


def write_report(report: Report, path: Path, bank: Bank | None = None) -> None:
    """Write the page of a verification that has just ended as one file that loads no others.

    Args:
        report: the verification.
        path: the file.
        bank: the bank, for earlier scores and the environment before; None leaves these out.

    Raises:
        ResourceError: if the disk is full or failed.
        InputError: if the file cannot be written for another reason.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    before = None
    if bank is not None:
        try:
            for _, task, version, score in recorded_scores(bank, bank.adapters()):
                scores[f"{task}@{version}"].append(score)
            log = bank.verification_log
            number = LARGEST if report.id is None else report.id
            compared = log.neighbours(number, predicted=report.level != "integrity")[2]
            before = None if compared is None else log.verification(compared)
        except TaskbankError:  # the report names the problem
            scores.clear()
    page = report_page(report, scores, before)
    write_file(path, render(page, LoneLinks()).encode("utf-8", "replace"))


def _findings(findings: Iterable[FindingRecord | reports.Finding]) -> tuple[Finding, ...]:
    return tuple(Finding(one.task, one.version, one.check, one.message) for one in findings)


def _environment(
    values: Mapping[str, Json], before: VerificationRecord | None
) -> tuple[Condition, ...]:
    if before is None:
        return tuple(Condition(name, _text(value), None, False) for name, value in values.items())
    names = [*values, *(name for name in before.environment if name not in values)]
    pairs = [(name, _text(values.get(name)), _text(before.environment.get(name))) for name in names]
    return tuple(Condition(name, value, other, value != other) for name, value, other in pairs)


def _text(value: Json) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else canonical_json(value)


def _trends(bank: Bank, results: Sequence[ResultRecord]) -> dict[str, Sparkline]:
    """Return the scores over verifications of some versions, by their full names."""
    scores: dict[str, list[float]] = defaultdict(list)
    versions = [(result.task, result.version) for result in results]
    for result in bank.verification_log.recent_results(versions, each=TREND):
        if result.observed is not None:
            scores[f"{result.task}@{result.version}"].append(result.observed)
    lines = ((ref, sparkline(values)) for ref, values in scores.items())
    return {ref: line for ref, line in lines if line is not None}


def _recorded_row(result: ResultRecord, trend: Sparkline | None) -> ResultRow:
    evidence = result.evidence or {}
    return ResultRow(
        result.task,
        result.version,
        result.status,
        result.metric,
        result.recorded,
        result.observed,
        trend,
        result.flips,
        _whole(evidence.get("negative_flips")),
        _whole(evidence.get("positive_flips")),
        _real(evidence.get("p_value")),
        result.examples,
        None,
        tuple(_moved(evidence.get("metrics"))),
        (),
    )


def _fresh_row(task: TaskResult, trend: Sparkline | None) -> ResultRow:
    return ResultRow(
        task.task,
        task.version,
        task.status,
        task.metric,
        task.recorded,
        task.observed,
        trend,
        task.flips,
        task.negative_flips,
        task.positive_flips,
        task.p_value,
        task.examples,
        task.confirmed_by,
        tuple(_moved({split: dict(metrics) for split, metrics in task.metrics.items()})),
        task.flipped,
    )


def _moved(metrics: object) -> Iterable[Moved]:
    """Yield every metric before and after, from evidence that may be of any shape."""
    for split, values in metrics.items() if isinstance(metrics, Mapping) else ():
        for name, pair in values.items() if isinstance(values, Mapping) else ():
            numbers = [_real(one) for one in pair] if isinstance(pair, Sequence) else []
            if len(numbers) == 2 and numbers[0] is not None and numbers[1] is not None:
                yield Moved(str(split), str(name), numbers[0], numbers[1])


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
