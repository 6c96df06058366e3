"""Inserts sealed rows and their child rows, and reads the child rows of many parents at once.

Whatever is inserted here is noted among the changes of the transaction, for its chain entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    Connection,
    Executable,
    Float,
    Select,
    Table,
    bindparam,
    insert,
    select,
)

from taskbank.bank.catalog.chain import changes_of
from taskbank.bank.catalog.seals import family_seal, seal
from taskbank.bank.catalog.tables import CHILDREN, Base
from taskbank.errors import DamagedError

CHUNK_SIZE = 500  # values in the IN list of one query
T = TypeVar("T")
Children = Mapping[str, Mapping[int, list[Mapping[str, Any]]]]  # by table and parent id


def table_of(model: type[Base]) -> Table:
    """Return the table of a model."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - for the type checker
    return table


def as_stored(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row as every database keeps them.

    A column of numbers holds no other type of number than its own, and SQLite no negative zero.
    """
    columns = table_of(model).c
    return {
        name: float(value) + 0.0
        if value is not None and isinstance(columns[name].type, Float)
        else value
        for name, value in values.items()
    }


def insert_row(connection: Connection, table: type[Base], values: Mapping[str, Any]) -> int:
    """Insert a row with its seal; return its id."""
    return insert_rows(connection, table, [values])[0]


def insert_rows(
    connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows with their seals; return their ids in the order of the rows."""
    stored = [as_stored(table, values) for values in rows]
    sealed = [{**values, "seal": seal(values)} for values in stored]
    if not sealed:
        return []
    query = _insertion(table, in_order=len(sealed) > 1)
    ids = [int(row_id) for row_id in connection.execute(query, sealed).scalars()]
    if len(ids) != len(sealed):
        raise DamagedError(
            f"the database did not store a row of table {table.__tablename__!r} and reported no "
            "error: run taskbank verify-all --level integrity, which finds triggers and rules that "
            "are not taskbank's"
        )
    for row_id, values in zip(ids, sealed, strict=True):
        changes_of(connection).insert(table.__tablename__, row_id, values["seal"])
    return ids


def insert_children(
    connection: Connection,
    parent: type[Base],
    rows: Mapping[int, Mapping[str, Sequence[Mapping[str, Any]]]],
    tables: Mapping[str, tuple[type[Base], str]],
) -> Children:
    """Insert the child rows of parents that the same transaction has inserted.

    Args:
        connection: a write transaction.
        parent: the parents' table.
        rows: by parent id and then by table, the child rows without the parent's id.
        tables: the child tables.

    Returns:
        the child rows, as `child_rows` reads them.
    """
    for name, (table, column) in tables.items():
        values = [
            {**as_stored(table, row), column: row_id}
            for row_id, own in rows.items()
            for row in own.get(name, ())
        ]
        if values:
            connection.execute(insert(table), values)
    children = child_rows(connection, list(rows), tables)
    marks = changes_of(connection).inserted[parent.__tablename__]
    for row_id in rows:
        marks[row_id] = family_seal(marks[row_id], family_of(children, row_id))
    return children


# Statements that every recording needs are built once.


@cache
def _insertion(table: type[Base], *, in_order: bool) -> Executable:
    return insert(table).returning(table_of(table).c.id, sort_by_parameter_order=in_order)


@cache
def _id_by_key(table: Table, key: str) -> Select[Any]:
    return select(table.c.id).where(table.c[key] == bindparam("key"))


@cache
def _by_parents(table: Table, parent: str) -> Select[Any]:
    parents: BindParameter[Any] = bindparam("parents", expanding=True)
    return select(table).where(table.c[parent].in_(parents)).order_by(table.c.id)


def family_of(children: Children, parent: int) -> dict[str, list[Mapping[str, Any]]]:
    """Return the child rows of one parent, by table."""
    return {name: rows.get(parent, []) for name, rows in children.items()}


def insert_once(
    connection: Connection, model: type[Base], key: str, values: Mapping[str, Any]
) -> tuple[int, bool]:
    """Insert a row unless its key exists; return the row's id and whether the row is new."""
    table = table_of(model)
    select_id, own = _id_by_key(table, key), {"key": values[key]}
    existing_id = connection.execute(select_id, own).scalar()
    if existing_id is not None:
        return int(existing_id), False
    if connection.dialect.name == "sqlite":  # it has one writer, so no insert can intervene
        return insert_row(connection, model, values), True
    from sqlalchemy.dialects import postgresql  # slow to import, and SQLite banks do not need it

    stored = as_stored(model, values)
    sealed = {**stored, "seal": seal(stored)}
    statement = postgresql.insert(table).on_conflict_do_nothing().returning(table.c.id)
    inserted_id = connection.execute(statement, [sealed]).scalar()
    if inserted_id is not None:
        changes_of(connection).insert(table.name, inserted_id, sealed["seal"])
        return int(inserted_id), True
    return int(connection.execute(select_id, own).scalar_one()), False


def child_rows(
    connection: Connection,
    parents: Sequence[int],
    tables: Mapping[str, tuple[type[Base], str]] = CHILDREN,
) -> Children:
    """Return the child rows of the given parents, by table and then by parent id."""
    return {
        name: _rows_by_parent(connection, table, parent, parents)
        for name, (table, parent) in tables.items()
    }


def _rows_by_parent(
    connection: Connection, table: type[Base], parent: str, parents: Sequence[int]
) -> dict[int, list[Mapping[str, Any]]]:
    query = _by_parents(table_of(table), parent)
    groups: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for chunk in chunks(parents):
        for row in connection.execute(query, {"parents": chunk}).mappings():
            groups[row[parent]].append(dict(row))
    return groups


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split values into chunks that fit into the IN list of one query."""
    return (values[start : start + CHUNK_SIZE] for start in range(0, len(values), CHUNK_SIZE))


# Keys that the environment of an adapter or trial held before `course` became a column.
_COURSE = ("seconds", "best_epoch", "epochs", "problem")


def course_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the `environment`, `course` and `request` of an adapter's or a trial's row.

    Args:
        row: all columns by name. In rows older than the `course` column, the environment holds
            all three.
    """
    if row["course"] is not None:
        return {name: row[name] for name in ("environment", "course", "request")}
    environment = dict(row["environment"])
    course = {name: environment.pop(name) for name in _COURSE if name in environment}
    if "train" in environment:
        train = dict(environment.pop("train"))
        course |= {"at_max_length": train.pop("at_max_length"), "train": train}
    request = environment.pop("asked", None)
    return {"environment": environment, "course": course, "request": request}
