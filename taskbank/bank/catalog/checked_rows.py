"""Checks rows that are about to be shown or used against their seals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from taskbank.bank.catalog.rows import Children, child_rows, chunks, table_of
from taskbank.bank.catalog.seals import children_damage, row_damage
from taskbank.bank.catalog.tables import (
    VERIFICATION_CHILDREN,
    Base,
    VerificationRow,
)
from taskbank.errors import DamagedError

Row = Mapping[Any, Any]


def checked_rows(connection: Connection, model: type[Base], query: Select[Any]) -> list[Row]:
    """Return the rows of a query after checking them.

    Args:
        connection: the transaction to read in.
        model: the sealed table that the query selects all columns of, maybe among others.
        query: the query.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    rows: list[Row] = [dict(row) for row in connection.execute(query).mappings()]
    check_rows(model, rows)
    return rows


def check_rows(model: type[Base], rows: Iterable[Row], children: Children | None = None) -> None:
    """Raise unless rows are what was recorded.

    Args:
        model: their table.
        rows: its columns by name, maybe among others.
        children: their child rows, if these are to be checked too.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    for damage in _damages(model, rows, children):
        raise DamagedError(
            f"{damage}: restore the bank from a copy; taskbank verify-all --level integrity "
            "lists everything that was changed"
        )


def check_ids(connection: Connection, model: type[Base], ids: Iterable[int]) -> None:
    """Raise unless the rows with the given ids are what was recorded.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    table = table_of(model)
    for chunk in chunks(sorted(set(ids))):
        checked_rows(connection, model, select(table).where(table.c.id.in_(chunk)))


def check_verifications(connection: Connection, ids: Iterable[int]) -> None:
    """Raise unless verifications, with all their results and findings, are what was recorded.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    table = table_of(VerificationRow)
    for chunk in chunks(sorted(set(ids))):
        rows = connection.execute(select(table).where(table.c.id.in_(chunk))).mappings().all()
        children = child_rows(connection, chunk, VERIFICATION_CHILDREN)
        check_rows(VerificationRow, rows, children)


def _damages(model: type[Base], rows: Iterable[Row], children: Children | None) -> Iterator[str]:
    table = table_of(model)
    columns: Sequence[str] = table.columns.keys()
    for row in rows:
        damage = row_damage(table.name, {name: row[name] for name in columns})
        if damage:
            yield damage
        elif children is not None:
            yield from children_damage(row, children)
