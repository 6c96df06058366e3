"""Promise 1: what is recorded never changes, and the database itself sees to it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from tests.helpers.adapters import fill_every_table
from tests.helpers.tampering import rows

TABLES = sorted(set(Base.metadata.tables) - {"gc_permits"})
# Rows that a filled bank has no reason to lock: what nothing refers to may go.
FREE = {"splits", "blobs"}


@pytest.fixture(scope="module")
def filled(shared_bank: Bank) -> Bank:
    """A bank with a row in every table; every test is refused, so that it stays as it is."""
    return fill_every_table(shared_bank)


def refused(bank: Bank, statement: str) -> str:
    """Return what the database says when it refuses a statement; fail if it does not."""
    with pytest.raises(DBAPIError) as caught, bank._engine.begin() as connection:
        connection.execute(text(statement))
    return str(caught.value.orig)


@pytest.mark.parametrize("table", TABLES)
def test_no_column_of_any_table_can_be_updated(filled: Bank, table: str) -> None:
    """UPDATE of each column of each table is refused by the database."""
    before = rows(filled, table)
    assert before
    for column in Base.metadata.tables[table].columns:
        assert "never change" in refused(
            filled, f'UPDATE {table} SET "{column.name}" = "{column.name}"'
        )
    assert rows(filled, table) == before


@pytest.mark.parametrize("table", TABLES)
def test_no_row_of_any_table_can_be_deleted(filled: Bank, table: str) -> None:
    """DELETE is refused by the database, also for the rows of a retired adapter."""
    before = rows(filled, table)
    assert "only deleted by gc" in refused(filled, f"DELETE FROM {table}")
    assert rows(filled, table) == before


@pytest.mark.parametrize("table", TABLES)
def test_no_row_can_be_replaced(filled: Bank, table: str) -> None:
    """SQLite's INSERT OR REPLACE and PostgreSQL's TRUNCATE and upsert are refused as well."""
    before = rows(filled, table)
    if filled._engine.dialect.name == "sqlite":
        said = refused(filled, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        assert "never replaced" in said
    else:
        assert "never change" in refused(filled, f"TRUNCATE {table} CASCADE")
        key = "digest" if table == "blobs" else "id"
        assert "never change" in refused(
            filled,
            f"INSERT INTO {table} SELECT * FROM {table} "
            f"ON CONFLICT ({key}) DO UPDATE SET {key} = EXCLUDED.{key}",
        )
    assert rows(filled, table) == before


def test_only_a_retired_adapter_gets_a_permit_to_be_deleted(filled: Bank) -> None:
    """The one door opens for no adapter in use."""
    (live,) = [row[0] for row in rows(filled, "adapters") if row[2] == 2]
    assert "only a retired adapter" in refused(
        filled, f"INSERT INTO gc_permits (adapter_id) VALUES ({live})"
    )
