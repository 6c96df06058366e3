"""Everything that a bank says, without what differs between it and its copies: ids and seals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.rows import table_of
from taskbank.bank.catalog.tables import (
    BankRow,
    Base,
    BlobRow,
    ByteCheckRow,
    ChainRow,
    GcPermitRow,
)

# What every bank has of its own; a check of bytes is of its own store.
OWN = (BankRow, BlobRow, ByteCheckRow, ChainRow, GcPermitRow)
CONTENT = [mapper.class_ for mapper in Base.registry.mappers if mapper.class_ not in OWN]
# Columns that refer to rows of other tables without a foreign key.
LOOSE = {"adapter_id": "adapters"}


def content_of(bank: Bank) -> dict[str, list[str]]:
    """Return every row of a bank by table, each as a text, in an order that no id decides."""
    with read_transaction(bank._engine) as connection:
        rows = {table.name: _rows(connection, table) for table in map(table_of, CONTENT)}
    return {
        name: sorted(str(_plain(name, row, rows)) for row in own.values())
        for name, own in sorted(rows.items())
    }


def _rows(connection: Connection, table: Any) -> dict[int, Mapping[str, Any]]:
    return {row["id"]: dict(row) for row in connection.execute(select(table)).mappings()}


def _plain(
    name: str, row: Mapping[str, Any], rows: Mapping[str, Mapping[int, Mapping[str, Any]]]
) -> list[tuple[str, Any]]:
    """Return a row with the rows that it refers to in place of their ids."""
    table = Base.metadata.tables[name]
    plain: list[tuple[str, Any]] = []
    for column in table.columns:
        value = row[column.name]
        if column.name in ("id", "seal"):
            continue
        keys: Iterable[Any] = column.foreign_keys
        other = next((key.column.table.name for key in keys if key.column.name == "id"), None)
        other = other or LOOSE.get(column.name)
        if other is not None and value is not None:
            value = _plain(other, rows[other][value], rows) if value in rows[other] else "gone"
        elif isinstance(value, dict):
            value = sorted(value.items(), key=str)
        plain.append((column.name, value))
    return plain
