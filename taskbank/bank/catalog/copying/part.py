"""What is common to all tables whose rows are copied from one catalog into another.

A row of the source is recorded in the target as it is, column by column; only the ids of the rows
that it refers to, the names of renamed tasks and its seal are the target's own. A row is there
already if the target has one that says the same of the same: ids tell nothing between banks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, select

from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.copying.selection import Number, Selection
from taskbank.bank.catalog.rows import chunks, table_of
from taskbank.bank.catalog.tables import (
    AdapterRow,
    BackboneRow,
    Base,
    ObservationRow,
    ScoredSplitRow,
    SplitRow,
    TaskRow,
)
from taskbank.bank.catalog.task_lock import lock_task

Row = Mapping[Any, Any]
Item = TypeVar("Item")


class Part(ABC, Generic[Item]):
    """The rows of one table of the source, as items that are each recorded whole or not at all.

    Args:
        source: the transaction to read the source in.
        selection: what is to be copied.
        there: the versions that the target has by now, or that gc has destroyed in the source.

    Attributes:
        what: the noun for an item.
        size: number of items in one transaction.
        kept: what stays as it is in the target although the source has something else.
    """

    what: ClassVar[str]
    size: ClassVar[int] = 50

    def __init__(self, source: Connection, selection: Selection, there: Collection[Number]) -> None:
        self.source, self.selection, self.there = source, selection, there
        self.kept: dict[str, None] = {}

    @abstractmethod
    def ids(self) -> Sequence[int]:
        """Return the ids of the rows in the source, in the order in which to record them."""

    @abstractmethod
    def load(self, ids: Sequence[int]) -> list[Item]:
        """Return the items of some rows of the source, after checking them."""

    @abstractmethod
    def absent(self, target: Connection, items: Sequence[Item]) -> list[Item]:
        """Return the items that the target lacks, as they are to be recorded there."""

    def lock(self, target: Connection, items: Sequence[Item]) -> None:
        """Wait for others who change the same, before a transaction looks what is absent."""

    def digests(self, item: Item) -> Iterator[str]:
        """Yield the digests of the blobs of an item."""
        yield from ()

    @abstractmethod
    def insert(self, target: Connection, item: Item) -> None:
        """Record an item; the same transaction must have stored its blobs."""

    def name(self, item: Item) -> str:
        """Return the name of an item, for messages."""
        return self.what

    @cached_property
    def numbers(self) -> dict[int, Number]:
        """The versions that the target has by now, by the id of their row in the source."""
        return {
            version.id: (name, number)
            for name, task in self.selection.tasks.items()
            for number, version in task.versions.items()
            if version.id is not None and (name, number) in self.there
        }

    def renamed(self, number: Number) -> Number:
        """Return a version's name and number in the target."""
        return self.selection.names[number[0]], number[1]


def own_columns(row: Row, *without: str) -> dict[str, Any]:
    """Return a row without its id and seal, which the target gives."""
    return {name: value for name, value in row.items() if name not in ("id", "seal", *without)}


def ids_of_table(connection: Connection, model: type[Base]) -> list[int]:
    """Return the ids of every row of a table, in order."""
    column = table_of(model).c.id
    return list(connection.execute(select(column).order_by(column)).scalars())


def ids_of_adapters(
    connection: Connection,
    model: type[ObservationRow] | type[ScoredSplitRow],
    adapters: Collection[int],
) -> list[int]:
    """Return the ids of the rows that belong to some versions, in order."""
    found: list[int] = []
    for chunk in chunks(list(adapters)):
        query = select(model.id).where(model.adapter_id.in_(chunk))
        found += connection.execute(query).scalars()
    return sorted(found)


def load_rows(connection: Connection, model: type[Base], ids: Sequence[int]) -> list[Row]:
    """Return the rows with some ids, in the order of the ids, after checking them."""
    table = table_of(model)
    query = select(table).where(table.c.id.in_(ids)).order_by(table.c.id)
    return checked_rows(connection, model, query)


def rows_by_id(connection: Connection, model: type[Base], ids: Collection[int]) -> dict[int, Row]:
    """Return the rows with some ids, by id, after checking them."""
    return {row["id"]: row for row in load_rows(connection, model, list(ids))}


def splits_of(connection: Connection, digests: Collection[str]) -> dict[str, Row]:
    """Return the rows of some splits, by digest, after checking them."""
    query = select(SplitRow.__table__).where(SplitRow.digest.in_(digests))
    return {row["digest"]: row for row in checked_rows(connection, SplitRow, query)}


def id_of_backbone(target: Connection, fingerprint: str) -> int:
    """Return the id of a backbone's row in the target."""
    query = select(BackboneRow.id).where(BackboneRow.fingerprint == fingerprint)
    return int(target.execute(query).scalar_one())


def task_ids(target: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of the rows of tasks, by name in the target."""
    query = select(TaskRow.name, TaskRow.id).where(TaskRow.name.in_(names))
    return {name: task_id for name, task_id in target.execute(query)}


def lock_tasks(target: Connection, names: Collection[str]) -> None:
    """Wait for other transactions that change some tasks of the target."""
    for task_id in sorted(task_ids(target, names).values()):
        lock_task(target, task_id)


def adapter_ids(target: Connection, numbers: Collection[Number]) -> dict[Number, int]:
    """Return the ids of the rows of versions, by name and number in the target."""
    query = (
        select(TaskRow.name, AdapterRow.version, AdapterRow.id)
        .join(TaskRow, TaskRow.id == AdapterRow.task_id)
        .where(TaskRow.name.in_({name for name, _ in numbers}))
    )
    found = {(name, number): row_id for name, number, row_id in target.execute(query)}
    return {number: found[number] for number in numbers if number in found}
