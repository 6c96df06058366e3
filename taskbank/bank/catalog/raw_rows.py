"""Rows as they are stored, readable or not: what the integrity check looks at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, true
from sqlalchemy.exc import OperationalError

from taskbank.bank.catalog.rows import table_of
from taskbank.bank.catalog.seals import row_damage
from taskbank.bank.catalog.tables import (
    AcceptanceRow,
    AdapterRow,
    AliasRow,
    BackboneRow,
    BankRow,
    Base,
    ObservationRow,
    PredictionRow,
    RetirementRow,
    SplitRow,
    TaskRow,
    ToleranceRow,
    TrialRow,
)

# What reading a value raises that is not UTF-8, or not JSON.
UNREADABLE = (ValueError, OperationalError)
NOT_READABLE = "cannot be read (not UTF-8, or not JSON)"


@dataclass(frozen=True)
class StoredRow:
    """A row as it is stored, whether it can be read or not.

    Attributes:
        values: what can be read, by column.
        unreadable: the columns that cannot.
    """

    values: Mapping[str, Any]
    unreadable: tuple[str, ...]


def sealed_rows(
    connection: Connection, model: type[Base], tasks: Collection[str] = ()
) -> Iterator[StoredRow]:
    """Give the rows of a sealed table, with the columns that cannot be read left out.

    Args:
        connection: the transaction to look in.
        model: the table.
        tasks: only what belongs to tasks of these names, or to every one as the bank's own
            row and the backbones do; none at all means every row.
    """
    table = table_of(model)
    query = select(table).order_by(table.c.id)
    if tasks:
        belonging = _belonging(tasks)
        if model not in belonging:
            return
        query = query.where(belonging[model])
    try:
        rows = connection.execute(query).mappings().all()
    except UNREADABLE:
        yield from _rows_one_by_one(connection, query)
    else:
        for row in rows:
            yield StoredRow(dict(row), ())


def _rows_one_by_one(connection: Connection, query: Select[Any]) -> Iterator[StoredRow]:
    own_id = query.selected_columns["id"]
    ids = connection.execute(query.with_only_columns(own_id)).scalars().all()
    for row_id in ids:
        own = query.where(own_id == row_id)
        try:
            yield StoredRow(dict(connection.execute(own).mappings().one()), ())
        except UNREADABLE:
            yield _read_by_column(connection, own)


def _read_by_column(connection: Connection, own: Select[Any]) -> StoredRow:
    values, unreadable = {}, []
    for column in own.selected_columns:
        try:
            values[column.name] = connection.execute(own.with_only_columns(column)).scalar()
        except UNREADABLE:
            unreadable.append(column.name)
    return StoredRow(values, tuple(unreadable))


def _belonging(tasks: Collection[str]) -> dict[type[Base], ColumnElement[bool]]:
    """Return which rows of a table belong to tasks; a table that is not named has none that do."""
    own_tasks = select(TaskRow.id).where(TaskRow.name.in_(tasks))
    adapters = select(AdapterRow.id).where(AdapterRow.task_id.in_(own_tasks))
    splits = select(PredictionRow.split_digest).where(PredictionRow.adapter_id.in_(adapters))
    return {
        BankRow: true(),
        BackboneRow: true(),
        TaskRow: TaskRow.name.in_(tasks),
        AdapterRow: AdapterRow.task_id.in_(own_tasks),
        SplitRow: SplitRow.digest.in_(splits),
        AliasRow: AliasRow.task_id.in_(own_tasks),
        RetirementRow: RetirementRow.task_id.in_(own_tasks),
        ToleranceRow: ToleranceRow.task_id.in_(own_tasks),
        ObservationRow: ObservationRow.adapter_id.in_(adapters),
        AcceptanceRow: AcceptanceRow.adapter_id.in_(adapters),
        TrialRow: TrialRow.task.in_(tasks),
    }


def stored_damage(table: str, stored: StoredRow) -> str | None:
    """Return what is wrong with a sealed row as it is stored, or none.

    Args:
        table: the table's name, for the message.
        stored: the row.
    """
    if not stored.unreadable:
        return row_damage(table, stored.values)
    columns = ", ".join(stored.unreadable)
    return f"row {stored.values['id']} of table {table!r}: column {columns} {NOT_READABLE}"
