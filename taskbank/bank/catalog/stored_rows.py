"""Reads rows for the integrity check, including rows with unreadable values."""

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
    ScoredSplitRow,
    SplitRow,
    TaskRow,
    TokenizerSettingsRow,
    ToleranceRow,
    TrialRow,
)

# The errors raised by reading a value that is not valid UTF-8, not JSON or of another type.
READ_ERRORS = (ValueError, OperationalError)
PAGE = 1000  # rows in memory at a time
CANNOT_BE_READ = "cannot be read (not UTF-8, not JSON, or not of the column's type)"


@dataclass(frozen=True)
class StoredRow:
    """A row as it is stored, possibly with unreadable values.

    Attributes:
        values: the readable values, by column.
        unreadable: names of the columns whose values cannot be read.
    """

    values: Mapping[str, Any]
    unreadable: tuple[str, ...]


def sealed_rows(
    connection: Connection, model: type[Base], tasks: Collection[str] = ()
) -> Iterator[StoredRow]:
    """Yield the rows of a sealed table without their unreadable columns.

    Args:
        connection: the transaction to read in.
        model: the table's model.
        tasks: names of the tasks whose rows to include, along with the rows that belong to every
            task (the bank's own row and those of backbones); empty means all rows.
    """
    table = table_of(model)
    query = select(table)
    if tasks:
        conditions = _task_conditions(tasks)
        if model not in conditions:
            return
        query = query.where(conditions[model])
    yield from paged_rows(connection, query)


def paged_rows(connection: Connection, query: Select[Any]) -> Iterator[StoredRow]:
    """Yield the rows of a query in the order of their ids, without their unreadable columns.

    Args:
        connection: the transaction to read in.
        query: selects columns of one table, `id` among them.
    """
    own_id = query.selected_columns["id"]
    query = query.order_by(own_id).limit(PAGE)
    page = list(_readable_rows(connection, query))
    while page:
        yield from page
        if len(page) < PAGE:
            return
        page = list(_readable_rows(connection, query.where(own_id > page[-1].values["id"])))


def _readable_rows(connection: Connection, query: Select[Any]) -> Iterator[StoredRow]:
    try:
        rows = connection.execute(query).mappings().all()
    except READ_ERRORS:
        yield from _read_by_row(connection, query)
    else:
        for row in rows:
            yield StoredRow(dict(row), ())


def _read_by_row(connection: Connection, query: Select[Any]) -> Iterator[StoredRow]:
    id_column = query.selected_columns["id"]
    ids = connection.execute(query.with_only_columns(id_column)).scalars().all()
    for row_id in ids:
        row_query = query.where(id_column == row_id)
        try:
            yield StoredRow(dict(connection.execute(row_query).mappings().one()), ())
        except READ_ERRORS:
            yield _read_by_column(connection, row_query)


def _read_by_column(connection: Connection, row_query: Select[Any]) -> StoredRow:
    values, unreadable = {}, []
    for column in row_query.selected_columns:
        try:
            values[column.name] = connection.execute(row_query.with_only_columns(column)).scalar()
        except READ_ERRORS:
            unreadable.append(column.name)
    return StoredRow(values, tuple(unreadable))


def _task_conditions(tasks: Collection[str]) -> dict[type[Base], ColumnElement[bool]]:
    """Return, by table, the condition that a row belongs to the given tasks.

    Tables that are missing from the result have no rows that belong to a task.
    """
    task_ids = select(TaskRow.id).where(TaskRow.name.in_(tasks))
    adapters = select(AdapterRow.id).where(AdapterRow.task_id.in_(task_ids))
    splits = select(PredictionRow.split_digest).where(PredictionRow.adapter_id.in_(adapters))
    scored = select(ScoredSplitRow.split_digest).where(ScoredSplitRow.adapter_id.in_(adapters))
    return {
        BankRow: true(),
        BackboneRow: true(),
        TokenizerSettingsRow: true(),
        TaskRow: TaskRow.name.in_(tasks),
        AdapterRow: AdapterRow.task_id.in_(task_ids),
        SplitRow: SplitRow.digest.in_(splits.union(scored)),
        ScoredSplitRow: ScoredSplitRow.adapter_id.in_(adapters),
        AliasRow: AliasRow.task_id.in_(task_ids),
        RetirementRow: RetirementRow.task_id.in_(task_ids),
        ToleranceRow: ToleranceRow.task_id.in_(task_ids),
        ObservationRow: ObservationRow.adapter_id.in_(adapters),
        AcceptanceRow: AcceptanceRow.adapter_id.in_(adapters),
        TrialRow: TrialRow.task.in_(tasks),
    }


def stored_damage(table: str, stored: StoredRow) -> str | None:
    """Return a description of the damage to a stored row, or None if it is intact.

    Args:
        table: the table's name, for the message.
        stored: the row.
    """
    if not stored.unreadable:
        return row_damage(table, stored.values)
    columns = ", ".join(stored.unreadable)
    return f"row {stored.values['id']} of table {table!r}: column {columns} {CANNOT_BE_READ}"
