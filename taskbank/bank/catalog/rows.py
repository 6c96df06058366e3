"""How rows are written, sealed, and how those that belong to many parents are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, insert, select

from taskbank.bank.catalog.seals import seal
from taskbank.bank.catalog.tables import CHILDREN, Base

CHUNK = 500  # values that a query lists at once
T = TypeVar("T")


def now() -> str:
    """Return the time in UTC as ISO 8601 text, as every table holds it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def table_of(model: type[Base]) -> Table:
    """Return the table of a model."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - for the type checker
    return table


def insert_row(connection: Connection, table: type[Base], values: Mapping[str, Any]) -> int:
    """Insert a row with its seal; return its id."""
    sealed = {**values, "seal": seal(values)}
    result = connection.execute(insert(table).returning(table_of(table).c.id), [sealed])
    return int(result.scalar_one())


def insert_once(
    connection: Connection, model: type[Base], key: str, values: Mapping[str, Any]
) -> tuple[int, bool]:
    """Insert a row unless its key is there; return the row's id, and whether it is new."""
    table = table_of(model)
    known = select(table.c.id).where(table.c[key] == values[key])
    found = connection.execute(known).scalar()
    if found is not None:
        return int(found), False
    if connection.dialect.name == "sqlite":  # whose one writer nobody can come before
        return insert_row(connection, model, values), True
    from sqlalchemy.dialects import postgresql  # slow to import, and not for every bank

    sealed = {**values, "seal": seal(values)}
    statement = postgresql.insert(table).on_conflict_do_nothing().returning(table.c.id)
    made = connection.execute(statement, [sealed]).scalar()
    if made is not None:
        return int(made), True
    return int(connection.execute(known).scalar_one()), False


def child_rows(
    connection: Connection,
    parents: Sequence[int],
    tables: Mapping[str, tuple[type[Base], str]] = CHILDREN,
) -> dict[str, dict[int, list[Mapping[str, Any]]]]:
    """Return the child rows of some parents: by table, then by parent."""
    return {
        name: _grouped(connection, table, parent, parents)
        for name, (table, parent) in tables.items()
    }


def _grouped(
    connection: Connection, table: type[Base], parent: str, parents: Sequence[int]
) -> dict[int, list[Mapping[str, Any]]]:
    columns = table_of(table)
    groups: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for part in parts(parents):
        query = select(columns).where(columns.c[parent].in_(part)).order_by(columns.c.id)
        for row in connection.execute(query).mappings():
            groups[row[parent]].append(dict(row))
    return groups


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into as many as a query lists at once."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
