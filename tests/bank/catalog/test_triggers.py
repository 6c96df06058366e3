"""Promise 1: what is recorded never changes, and the database itself sees to it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from taskbank.errors import ConflictError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter, new_trial, record_finding

TABLES = sorted(set(Base.metadata.tables) - {"gc_permits"})
# Rows that a filled bank has no reason to lock: what nothing refers to may go.
FREE = {"splits", "blobs"}


@pytest.fixture
def filled(bank: Bank) -> Bank:
    """A bank with at least one row in every table."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    bank.alias("mood@2", "production")
    bank.remove("mood@1")
    bank.put_trial(new_trial(seed=9))
    verify_all(bank, level="integrity")
    record_finding(bank)
    return bank


def refused(bank: Bank, statement: str) -> str:
    """Return what the database says when it refuses a statement; fail if it does not."""
    with pytest.raises(DBAPIError) as caught, bank.engine.begin() as connection:
        connection.execute(text(statement))
    return str(caught.value.orig)


def rows(bank: Bank, table: str) -> list[tuple[object, ...]]:
    """Return every row of a table."""
    with bank.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]


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
    if filled.engine.dialect.name == "sqlite":
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


def test_gc_destroys_what_is_retired_and_nothing_else(filled: Bank) -> None:
    """A dry run changes nothing; a confirmed one takes the retired adapter, its bytes and its
    split, leaves the other and the trial's weights, and never gives its number again."""
    live = filled["mood@2"]
    dry = filled.gc()
    assert (dry.adapters, dry.blobs) == (("mood@1",), 3)
    assert len(rows(filled, "blobs")) == 8
    assert filled.gc(confirm=True) == dry
    assert len(rows(filled, "blobs")) == len(list(filled.blobs.sizes())) == 5
    assert rows(filled, "gc_permits") == []
    assert filled["mood@2"] == live
    assert live.weights() == new_adapter("mood", seed=1).weights
    assert filled.put(new_adapter("mood", seed=2), new_version=True).version == 3
    assert filled.gc().adapters == ()
    assert filled.trials("mood")[0].state_dict().keys() == {"head.weight", "head.bias"}
    assert verify_all(filled, level="integrity").findings == ()


def test_gc_keeps_bytes_that_another_adapter_shares(bank: Bank) -> None:
    """A split and weights that two adapters share stay while one of them is in use."""
    bank.put(new_adapter("one"))
    bank.put(new_adapter("two"))
    assert len(list(bank.blobs.sizes())) == 3
    bank.remove("one@1")
    garbage = bank.gc(confirm=True)
    assert (garbage.adapters, garbage.blobs) == (("one@1",), 0)
    assert verify_all(bank, level="integrity").ok


def test_an_adapter_that_an_alias_names_is_not_retired(bank: Bank) -> None:
    """Production cannot be pulled away by mistake; a moved or dropped alias lets go."""
    bank.put(new_adapter("mood"))
    bank.alias("mood@1", "production")
    with pytest.raises(ConflictError, match="production"):
        bank.remove("mood@1")
    bank.drop_alias("mood", "production")
    bank.remove("mood@1")
    with pytest.raises(ConflictError, match="retired already"):
        bank.remove("mood@1")
    with pytest.raises(ConflictError, match="is retired"):
        bank.alias("mood@1", "production")
