"""What happened in a bank or to one of its tasks, newest first, one page at a time.

Each table has its events in the order of its row ids. A page merges the newest rows of every table
by time, and the next page begins in each table where this one ended: so a page takes as long in a
large bank as in a small one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from taskbank.bank.catalog.checked_rows import check_rows
from taskbank.bank.catalog.tables import (
    AcceptanceRow,
    AdapterRow,
    AliasRow,
    Base,
    ResultRow,
    RetirementRow,
    TaskRow,
    ToleranceRow,
    VerificationRow,
)
from taskbank.bank.records import Timeline, TimelineEntry
from taskbank.checks import LARGEST
from taskbank.errors import InputError

Row = Mapping[Any, Any]
CURSOR = re.compile(r"[0-9]{1,10}(?:-[0-9]{1,10})*")


@dataclass(frozen=True)
class Source:
    """A table whose rows are events.

    Attributes:
        query: its rows, with the name of the task where there is one.
        key: its row id.
        entry: returns the event of a row.
        sealed: the table, if each row has a seal of its own.
    """

    query: Select[Any]
    key: InstrumentedAttribute[int]
    entry: Callable[[Row], TimelineEntry]
    sealed: type[Base] | None


def read_timeline(
    connection: Connection, *, task: str | None, before: str | None, limit: int
) -> Timeline:
    """Return what happened, newest first.

    Args:
        connection: the transaction to read in.
        task: the task's name; None means the whole bank.
        before: where the page before ended, as its `next` says; None means the newest.
        limit: return at most this many entries.

    Raises:
        InputError: if `before` is not such a text.
        DamagedError: if a row differs from what was recorded.
    """
    sources = tuple(_sources(task))
    ends = _ends(before, len(sources))
    streams = [
        list(_entries(connection, source, number, end, limit + 1))
        for number, (source, end) in enumerate(zip(sources, ends, strict=True))
    ]
    merged = merge(*streams, key=lambda found: found[2].at, reverse=True)
    found = list(islice(merged, limit + 1))
    # What is recorded while somebody turns pages belongs to none of them.
    ends = [stream[0][1] + 1 if stream else 1 for stream in streams]
    for number, place, _ in found[:limit]:
        ends[number] = place
    entries = tuple(entry for _, _, entry in found[:limit])
    return Timeline(entries, "-".join(map(str, ends)) if len(found) > limit else None)


def _ends(before: str | None, count: int) -> list[int]:
    """Return the row of each table before which a page begins."""
    if before is None:
        return [LARGEST] * count
    ends = [int(part) for part in before.split("-")] if CURSOR.fullmatch(before) else []
    if len(ends) != count or max(ends) > LARGEST:
        raise InputError(
            f"no page of the history begins at {before[:40]!r}: follow the links from its first one"
        )
    return ends


def _entries(
    connection: Connection, source: Source, number: int, end: int, limit: int
) -> Iterator[tuple[int, int, TimelineEntry]]:
    """Yield the source's number, the row's id and its event, newest first."""
    query = source.query.where(source.key < end).order_by(source.key.desc()).limit(limit)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    if source.sealed is not None:
        check_rows(source.sealed, rows)
    for row in rows:
        yield number, row["id"], source.entry(row)


def _sources(task: str | None) -> Iterator[Source]:
    """Yield the tables with events of a task, or of the whole bank."""
    name = TaskRow.name.label("task")
    of_task = [] if task is None else [TaskRow.name == task]
    for table, entry in (
        (AdapterRow, _added),
        (AliasRow, _alias),
        (RetirementRow, _retired),
        (ToleranceRow, _tolerance),
    ):
        query = select(table.__table__, name).join(TaskRow, TaskRow.id == table.task_id)
        yield Source(query.where(*of_task), table.id, entry, table)
    accepted = (
        select(AcceptanceRow.__table__, AdapterRow.version, name)
        .join(AdapterRow, AdapterRow.id == AcceptanceRow.adapter_id)
        .join(TaskRow, TaskRow.id == AdapterRow.task_id)
    )
    yield Source(accepted.where(*of_task), AcceptanceRow.id, _accepted, AcceptanceRow)
    if task is None:
        every = select(VerificationRow.__table__)
        yield Source(every, VerificationRow.id, _verified, VerificationRow)
        return
    results = (
        select(ResultRow.__table__, VerificationRow.level, VerificationRow.finished_at)
        .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
        .where(ResultRow.task == task)
    )
    yield Source(results, ResultRow.id, _result, None)  # the seal covers a whole verification


def _added(row: Row) -> TimelineEntry:
    return TimelineEntry(
        row["created_at"],
        "added",
        row["task"],
        row["version"],
        metric=row["metric"],
        score=row["score"],
    )


def _alias(row: Row) -> TimelineEntry:
    return TimelineEntry(row["set_at"], "alias", row["task"], row["version"], alias=row["name"])


def _retired(row: Row) -> TimelineEntry:
    return TimelineEntry(row["retired_at"], "retired", row["task"], row["version"])


def _tolerance(row: Row) -> TimelineEntry:
    return TimelineEntry(row["set_at"], "tolerance", row["task"], tolerance=row["tolerance"])


def _accepted(row: Row) -> TimelineEntry:
    return TimelineEntry(
        row["accepted_at"],
        "accepted",
        row["task"],
        row["version"],
        row["verification_id"],
        text=row["reason"],
    )


def _verified(row: Row) -> TimelineEntry:
    return TimelineEntry(
        row["finished_at"],
        "verified",
        verification=row["id"],
        text=row["level"],
        ok=row["ok"],
        checked=row["checked"],
    )


def _result(row: Row) -> TimelineEntry:
    return TimelineEntry(
        row["finished_at"],
        "verified",
        row["task"],
        row["version"],
        row["verification_id"],
        text=row["status"],
        ok=row["status"] in ("ok", "changed"),
        metric=row["metric"],
        score=row["observed"],
    )
