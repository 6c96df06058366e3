"""The page of a bank's verifications, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from taskbank.bank.bank import Bank
from taskbank.bank.records import VerificationSummary

ROWS = 50  # verifications of a page


@dataclass(frozen=True)
class VerificationsPage:
    """What the page shows.

    Attributes:
        rows: the verifications, newest first.
        after: the verification after which the page begins; None at the newest.
        next: the verification after which the next page begins; None if this is the last.
    """

    template: ClassVar[str] = "verifications.html"
    title: ClassVar[str] = "Verifications"

    rows: tuple[VerificationSummary, ...]
    after: int | None
    next: int | None

    def took(self, row: VerificationSummary) -> str:
        """Return how long a verification took."""
        return duration(row.started_at, row.finished_at)


def verifications_page(
    bank: Bank, *, after: int | None = None, rows: int = ROWS
) -> VerificationsPage:
    """Return what the page of a bank's verifications shows.

    Args:
        bank: an open bank.
        after: the last verification of the page before; None means the newest.
        rows: number of verifications of the page.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    found = bank.verification_log.newest(before=after, limit=rows + 1)
    shown = found[:rows]
    return VerificationsPage(shown, after, shown[-1].id if len(found) > rows else None)


def duration(started_at: str, finished_at: str) -> str:
    """Return how long something took, such as `4 min 10 s`; empty if a time cannot be read."""
    try:
        took = datetime.fromisoformat(finished_at) - datetime.fromisoformat(started_at)
    except ValueError:
        return ""
    seconds = took.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
