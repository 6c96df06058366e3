"""The page of a bank's history: what happened, and how tasks score while others are added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from taskbank.bank.bank import Bank
from taskbank.bank.records import TimelineEntry
from taskbank.checks import check_text
from taskbank.history.matrix import matrix_of, recorded_scores
from taskbank.pages.score_matrix import MatrixView, view_of
from taskbank.pages.scores_over_time import LINES, Scores, TimeChart, most_moved, time_chart

ROWS = 50  # entries of a page
TASKS = 100  # tasks of a matrix


@dataclass(frozen=True)
class HistoryPage:
    """What the page shows.

    Attributes:
        task: the task whose history it is; None for that of the whole bank.
        tasks: number of tasks of the bank.
        start: number of tasks that were added before those of the matrix.
        previous: where the matrix of earlier tasks begins; None if there are none.
        following: where the matrix of later tasks begins; None if there are none.
        matrix: the matrix; None for a single task, and after the first page.
        chart: scores over time; None without scores, and after the first page.
        chosen: whether the chart leaves out tasks whose scores moved less.
        entries: what happened, newest first.
        after: where the page begins; None at the newest.
        next: where the next page begins; None if this is the last.
    """

    template: ClassVar[str] = "history.html"

    task: str | None
    tasks: int
    start: int
    previous: int | None
    following: int | None
    matrix: MatrixView | None
    chart: TimeChart | None
    chosen: bool
    entries: tuple[TimelineEntry, ...]
    after: str | None
    next: str | None

    @property
    def title(self) -> str:
        """The page's title."""
        return "History" if self.task is None else f"History of {self.task}"


def history_page(
    bank: Bank,
    *,
    task: str | None = None,
    start: int | None = None,
    after: str | None = None,
    rows: int = ROWS,
    tasks: int = TASKS,
) -> HistoryPage:
    """Return what the page of a bank's history shows.

    Args:
        bank: an open bank.
        task: the task whose history to show; None means that of the whole bank.
        start: number of tasks to leave out of the matrix, the oldest; None means all but the last
            `tasks`.
        after: where the page before ended; None means the newest.
        rows: number of entries of the page.
        tasks: number of tasks of the matrix.

    Raises:
        InputError: if `task` or `after` cannot be what it stands for.
        NotFoundError: if the task does not exist.
        DamagedError: if a row differs from what was recorded.
    """
    if task is not None:
        check_text(task, "task name")
    timeline = bank.timeline(task=task, before=after, limit=rows)
    count = bank.count_tasks()
    last = max(count - 1, 0) // tasks * tasks
    begin = last if start is None else min(start, last)
    names: Sequence[str] = (task,) if task else bank.oldest_tasks(start=begin, limit=tasks)
    series: list[tuple[str, Scores]] = []
    matrix = None
    if after is None and names:
        records = bank.adapters(tasks=names)
        recorded = recorded_scores(bank, records, names)
        series = _series(recorded, by_version=task is not None)
        matrix = view_of(matrix_of(records, recorded)) if task is None else None
    shown = most_moved(series)
    return HistoryPage(
        task,
        count,
        begin,
        max(begin - tasks, 0) if begin else None,
        begin + tasks if begin + tasks < count else None,
        matrix if matrix is not None and matrix.tasks else None,
        time_chart(shown),
        sum(len(scores) > 1 for _, scores in series) > LINES,
        timeline.entries,
        after,
        timeline.next,
    )


def _series(
    recorded: Sequence[tuple[str, str, int, float]], *, by_version: bool
) -> list[tuple[str, Scores]]:
    """Return the scores over time of tasks in their newest versions, or of each version."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    newest: dict[str, int] = {}
    for at, task, version, score in recorded:
        if by_version:
            found[f"@{version}"].append((at, score))
        elif version >= newest.get(task, 0):
            newest[task] = version
            found[task].append((at, score))
    return sorted(found.items())
