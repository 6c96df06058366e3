"""The page of a verification: what it found, the result of each adapter, and the conditions.

The server shows a recorded verification, a page of results at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, get_args

from taskbank.bank.bank import Bank
from taskbank.bank.records import FindingRecord
from taskbank.checks import LARGEST
from taskbank.errors import InputError
from taskbank.pages.environment import Condition, conditions
from taskbank.pages.results import ResultRow, recorded_row, trends_of
from taskbank.pages.verdict import FAILING, Outcome
from taskbank.pages.verifications import duration
from taskbank.verify import report as reports
from taskbank.verify.report import Status

ROWS = 50  # results of a page
FINDINGS = 100  # findings that are shown
# What needs attention comes first.
ORDER = ("regressed", "unstable", "damaged", "unverifiable", "unchecked", "changed", "ok")


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
        predicted: whether its predictions are stored, so that they can be compared.
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
    predicted: bool
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
    trends = trends_of(bank, page.results)
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
        findings_of(found.findings),
        status,
        tuple(recorded_row(one, trends.get(f"{one.task}@{one.version}")) for one in page.results),
        statuses.get(status, 0) if status is not None else sum(statuses.values()),
        after,
        page.next,
        record.run is not None,
        conditions(
            record.environment, None if compared is None else log.verification(compared).environment
        ),
        compared,
        earlier,
        later,
    )


def findings_of(findings: Iterable[FindingRecord | reports.Finding]) -> tuple[Finding, ...]:
    """Return findings as the page shows them."""
    return tuple(Finding(one.task, one.version, one.check, one.message) for one in findings)
