"""One page of the bank's tasks, each with the version that is current: an alias's, or the newest.

Which versions are on a page is found by SQL alone, so the time does not depend on how many
records there are to read: only those of the page are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, false, func, select, true, tuple_
from sqlalchemy.orm import aliased

from taskbank.bank.catalog.adapters import read_adapters
from taskbank.bank.catalog.retirement import IN_USE
from taskbank.bank.catalog.rows import chunks
from taskbank.bank.catalog.tables import (
    AdapterRow,
    AliasRow,
    BackboneRow,
    ResultRow,
    RetirementRow,
    TaskRow,
    VerificationRow,
)
from taskbank.bank.record_list import Records
from taskbank.bank.records import ResultSummary
from taskbank.errors import InputError

SORTS: dict[str, Any] = {
    "task": TaskRow.name,
    "score": AdapterRow.score,
    "size": AdapterRow.bytes,
    "added": AdapterRow.id,
}
MEASURED = ("score", "size")
FIRST = 1000  # adapters in that order that are tried before all of them


class Order(NamedTuple):
    """How tasks are sorted.

    Attributes:
        by: `task`, `score`, `size` or `added`.
        descending: whether the largest comes first.
    """

    by: str = "task"
    descending: bool = False

    @classmethod
    def of(cls, text: str) -> Order:
        """Return the order that a text such as `score` or `-score` names.

        Raises:
            InputError: if tasks cannot be sorted by that.
        """
        by = text.removeprefix("-")
        if by not in SORTS:
            raise InputError(
                f"tasks cannot be sorted by {by[:40]!r}: use one of {', '.join(SORTS)}, with a - "
                "before it for the largest first"
            )
        return cls(by, text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.by}" if self.descending else self.by


def read_current(
    connection: Connection,
    condition: ColumnElement[bool] | None,
    *,
    alias: str,
    order: Order,
    after: int | None,
    limit: int,
) -> Records:
    """Return the current versions of tasks, one of each, after checking their rows.

    Args:
        connection: the transaction to read in.
        condition: a condition that the current version satisfies; None means all.
        alias: the alias whose version is current; of a task without it, the newest in use is.
        order: how to sort.
        after: the id of the adapter after which to begin; None means at the beginning.
        limit: return at most this many.

    Raises:
        DamagedError: if a row of a returned adapter differs from what was recorded.
    """
    key, last = SORTS[order.by], None
    if after is not None:
        place = (
            select(key, AdapterRow.id)
            .join(TaskRow, TaskRow.id == AdapterRow.task_id)
            .where(AdapterRow.id == after)
        )
        last = connection.execute(place).one_or_none()
        if last is None:  # garbage collection has destroyed it
            return Records()
    query = _current(alias, connection.dialect.name)
    ids: list[int] = []
    if condition is not None:  # which may name the backbone
        query = query.join(BackboneRow, BackboneRow.id == AdapterRow.backbone_id).where(condition)
        if order.by in MEASURED:
            # Often the first adapters in this order, which an index finds, have enough. Through the
            # index, SQLite would read all others one by one, too; as a sum the key has none.
            first = _sorted(select(AdapterRow.id), key, order, last).limit(FIRST)
            among = _sorted(query.where(AdapterRow.id.in_(first)), key, order, None)
            ids = list(connection.execute(among.limit(limit)).scalars())
            key = key + 0
    if len(ids) < limit:
        query = _sorted(query, key, order, last)
        ids = list(connection.execute(query.limit(limit)).scalars())
    if not ids:
        return Records()
    records = read_adapters(connection, AdapterRow.id.in_(ids))
    return Records(sorted(records, key=lambda record: ids.index(record.id)))


def count_tasks(connection: Connection) -> int:
    """Return the number of tasks that were ever recorded."""
    return int(connection.execute(select(func.count(TaskRow.id))).scalar_one())


def read_recent_results(
    connection: Connection, versions: Sequence[tuple[str, int]], each: int
) -> tuple[ResultSummary, ...]:
    """Return the newest results of some versions, oldest first, without the evidence.

    The rows are not checked: their seal covers a whole verification, which may have checked a
    hundred thousand versions.

    Args:
        connection: the transaction to read in.
        versions: pairs of a task and a version.
        each: return at most this many of each version.
    """
    names = ("task", "version", "status", "metric", "recorded", "observed", "flips", "examples")
    found: list[ResultSummary] = []
    for chunk in chunks(versions):
        age = func.row_number().over(
            partition_by=(ResultRow.task, ResultRow.version), order_by=ResultRow.id.desc()
        )
        newest = (
            select(ResultRow.__table__, age.label("age"))
            # SQLite finds no rows by pairs of values through an index, but does by the tasks.
            .where(
                ResultRow.task.in_({task for task, _ in chunk}),
                tuple_(ResultRow.task, ResultRow.version).in_(chunk),
            )
            .subquery("recent")
        )
        query = (
            select(
                newest.c.verification_id,
                VerificationRow.level,
                VerificationRow.finished_at,
                *(newest.c[name] for name in names),
            )
            .join(VerificationRow, VerificationRow.id == newest.c.verification_id)
            .where(newest.c.age <= each)
            .order_by(newest.c.id)
        )
        found += (ResultSummary(*row) for row in connection.execute(query))
    return tuple(found)


def _sorted(query: Select[Any], key: Any, order: Order, last: Any) -> Select[Any]:
    """Return a query for adapters in an order, after the key and the id of the last one, if any."""
    if last is not None:
        here, there = tuple_(key, AdapterRow.id), tuple_(*last)
        query = query.where(here < there if order.descending else here > there)
    columns = (key, AdapterRow.id) if order.by != "added" else (key,)
    return query.order_by(*(c.desc() if order.descending else c.asc() for c in columns))


def _current(alias: str, dialect: str) -> Select[Any]:
    """Return the query for the ids of the current versions.

    Args:
        alias: the alias whose version is current.
        dialect: `sqlite` or `postgresql`.
    """
    pointed = (
        select(AliasRow.version)
        .where(AliasRow.task_id == TaskRow.id, AliasRow.name == alias)
        .order_by(AliasRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    # Neither is a retired version: an alias cannot point at one.
    other = aliased(AdapterRow)
    newest = (
        select(func.max(other.version))
        .outerjoin(
            RetirementRow,
            (RetirementRow.task_id == other.task_id) & (RetirementRow.version == other.version),
        )
        .where(other.task_id == TaskRow.id, IN_USE)
        .scalar_subquery()
    )
    is_current: ColumnElement[bool] = AdapterRow.version == func.coalesce(pointed, newest)
    if dialect == "postgresql":
        # It expects an equation to hold for few adapters, and so would read all of them instead of
        # following the index of an order. Of a CASE it expects no such thing.
        is_current = case((is_current, true()), else_=false())
    return (
        select(AdapterRow.id)
        .select_from(TaskRow)
        .join(
            AdapterRow,
            (AdapterRow.task_id == TaskRow.id) & is_current,
        )
    )
