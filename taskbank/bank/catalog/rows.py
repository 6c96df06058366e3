"""How rows are written, sealed, and how those that belong to many parents are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, insert, select

from taskbank.bank.catalog.seals import seal
from taskbank.bank.catalog.tables import CHILDREN, Base

CHUNK = 500  # values that a query lists at once
T = TypeVar("T")


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


# What the environment of an adapter or trial held before the course had a column of its own.
_COURSE = ("seconds", "best_epoch", "epochs", "problem")


def course_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the `environment`, `course` and `request` of an adapter's or a trial's row.

    Args:
        row: all its columns by name. In a row from before there was a course, the environment
            holds all three.
    """
    if row["course"] is not None:
        return {name: row[name] for name in ("environment", "course", "request")}
    environment = dict(row["environment"])
    course = {name: environment.pop(name) for name in _COURSE if name in environment}
    train = environment.pop("train", None)
    if train is not None:
        course["at_max_length"] = train["at_max_length"]
    request = environment.pop("asked", None)
    return {"environment": environment, "course": course, "request": request}
