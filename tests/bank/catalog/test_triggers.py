"""Promise 1: what is recorded never changes, and the database itself sees to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from taskbank.bank.catalog.triggers import trigger_damages
from taskbank.bank.open import create_bank
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


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TRIGGER tags_no_update"],
        [
            "DROP TRIGGER tags_no_update",
            "CREATE TRIGGER tags_no_update BEFORE UPDATE ON tags BEGIN SELECT 1; END",
        ],
        [
            "DROP TRIGGER tags_no_update",
            "CREATE TRIGGER tags_no_update BEFORE UPDATE ON metrics WHEN 1 BEGIN "
            "SELECT RAISE(ABORT, 'taskbank: tags rows never change'); END",
        ],
        ["CREATE TRIGGER own BEFORE INSERT ON tags BEGIN SELECT RAISE(IGNORE); END"],
    ],
)
def test_a_changed_trigger_of_sqlite_is_found(own: Bank, statements: list[str]) -> None:
    """Dropped, emptied, moved to another table, or added."""
    with own._engine.begin() as connection:
        assert list(trigger_damages(connection)) == []
        for statement in statements:
            connection.exec_driver_sql(statement)
        assert list(trigger_damages(connection))


@pytest.mark.server
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER tags_no_update ON tags",
        "ALTER TABLE tags DISABLE TRIGGER tags_no_update",
        "ALTER TABLE tags ENABLE REPLICA TRIGGER tags_no_update",
        "CREATE OR REPLACE FUNCTION tags_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NEW; END $$",
        "ALTER FUNCTION tags_refuse_delete() SET search_path = elsewhere",
        "DROP TRIGGER tags_no_update ON tags; CREATE TRIGGER tags_no_update BEFORE UPDATE ON "
        "metrics FOR EACH ROW EXECUTE FUNCTION tags_refuse_change()",
        "DROP TRIGGER tags_no_update ON tags; CREATE TRIGGER tags_no_update BEFORE UPDATE ON tags "
        "FOR EACH ROW WHEN (false) EXECUTE FUNCTION tags_refuse_change()",
        "CREATE TRIGGER own BEFORE INSERT ON tags FOR EACH ROW EXECUTE FUNCTION "
        "tags_refuse_change()",
    ],
)
def test_a_changed_trigger_of_postgresql_is_found(
    new_database: Callable[[], str], statement: str
) -> None:
    """Dropped, disabled, emptied, moved to another table, or added."""
    with create_bank(new_database()) as bank, bank._engine.begin() as connection:
        assert list(trigger_damages(connection)) == []
        connection.exec_driver_sql(statement)
        assert list(trigger_damages(connection))


def test_only_a_retired_adapter_gets_a_permit_to_be_deleted(filled: Bank) -> None:
    """The one door opens for no adapter in use."""
    (live,) = [row[0] for row in rows(filled, "adapters") if row[2] == 2]
    assert "only a retired adapter" in refused(
        filled, f"INSERT INTO gc_permits (adapter_id) VALUES ({live})"
    )
