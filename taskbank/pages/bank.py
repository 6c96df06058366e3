"""The page of a bank: its tasks, each with its current version, filtered, sorted and paged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, ResultSummary
from taskbank.bank.url import parse_url
from taskbank.errors import InputError
from taskbank.pages.charts import Sparkline, sparkline
from taskbank.pages.scores import Score, score_of

ROWS = 50  # tasks of a page
TREND = 30  # verifications of a sparkline
ALIAS = "production"
EXAMPLES = (
    "metric.accuracy >= 0.9",
    'tag.team = "search"',
    'task like "ticket-%" and method = "lora"',
    'kind in ("single", "pair") and not bytes > 1000000',
    'created_at >= "2026-11-01"',
)
# Columns that tasks can be sorted by, and whether the largest comes first at first.
SORTS = {"task": False, "score": True, "size": True, "added": True}


@dataclass(frozen=True)
class BankRow:
    """A task with its current version.

    Attributes:
        task: the task's name.
        version: its current version.
        aliases: the aliases that point at it.
        kind: the task's kind.
        method: the adaptation method.
        score: the version's score.
        trend: its score over verifications; None if there are fewer than two.
        verified: its newest result; None if it was never verified.
        bytes: size of its weights.
        created_at: when it was recorded.
        tags: its tags.
    """

    task: str
    version: int
    aliases: tuple[str, ...]
    kind: str
    method: str
    score: Score
    trend: Sparkline | None
    verified: ResultSummary | None
    bytes: int
    created_at: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class BankPage:
    """What the page shows.

    Attributes:
        bank: the name of the bank's file or database, without its place.
        tasks: number of tasks.
        versions: number of versions in use.
        filter: the condition, in the query language.
        problem: what is wrong with the condition; None if it is right.
        sort: the order, such as `-score`.
        rows: the tasks.
        after: where the page begins; None at the beginning.
        next: where the next page begins; None if this is the last.
    """

    template: ClassVar[str] = "bank.html"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    bank: str
    tasks: int
    versions: int
    filter: str
    problem: str | None
    sort: str
    rows: tuple[BankRow, ...]
    after: int | None
    next: int | None

    @property
    def title(self) -> str:
        """The page's title."""
        return "Tasks"

    def sort_by(self, column: str) -> str:
        """Return the order that a click on a column's heading chooses."""
        if self.sort.removeprefix("-") == column:
            return column if self.sort.startswith("-") else f"-{column}"
        return f"-{column}" if SORTS[column] else column

    def direction(self, column: str) -> str | None:
        """Return how the tasks are sorted by a column, as `aria-sort` has it."""
        if self.sort.removeprefix("-") != column:
            return None
        return "descending" if self.sort.startswith("-") else "ascending"


def bank_page(
    bank: Bank, *, query: str = "", sort: str = "task", after: int | None = None, rows: int = ROWS
) -> BankPage:
    """Return what the page of a bank shows.

    Args:
        bank: an open bank.
        query: a condition on current versions, in the query language; empty means all.
        sort: `task`, `score`, `size` or `added`, with a `-` before it for the largest first.
        after: the id of the last adapter of the page before; None means the first page.
        rows: number of tasks of the page.

    Raises:
        InputError: if tasks cannot be sorted by that.
        DamagedError: if a row differs from what was recorded.
    """
    problem = None
    if query.strip():
        try:
            bank.check_query(query)
        except InputError as error:
            problem = str(error)
    found: Sequence[AdapterRecord] = ()
    if problem is None:
        found = bank.current(query, alias=ALIAS, sort=sort, after=after, limit=rows + 1)
    shown = found[:rows]
    aliases = bank.current_aliases([record.task for record in shown])
    results: dict[tuple[str, int], list[ResultSummary]] = defaultdict(list)
    versions = [(record.task, record.version) for record in shown]
    for result in bank.verification_log.recent_results(versions, each=TREND):
        results[result.task, result.version].append(result)
    return BankPage(
        parse_url(bank.url).name,
        bank.count_tasks(),
        len(bank),
        query,
        problem,
        sort,
        tuple(
            _row(record, aliases.get(record.task, {}), results[record.task, record.version])
            for record in shown
        ),
        after,
        shown[-1].id if len(found) > rows else None,
    )


def _row(
    record: AdapterRecord, aliases: dict[str, int], results: Sequence[ResultSummary]
) -> BankRow:
    return BankRow(
        record.task,
        record.version,
        tuple(alias for alias, version in aliases.items() if version == record.version),
        record.kind,
        record.method,
        score_of(record),
        sparkline([result.observed for result in results if result.observed is not None]),
        results[-1] if results else None,
        record.bytes,
        record.created_at,
        tuple(record.tags.items()),
    )
