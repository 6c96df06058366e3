"""The walk over the chain finds lost, added, exchanged and reordered rows and entries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import SEALED_TABLES
from taskbank.bank.open import create_bank
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import fill_every_table
from tests.helpers.findings import messages
from tests.helpers.tampering import rewrite, rows

SEALED = [model.__tablename__ for model in SEALED_TABLES]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite bank that is intact and has a row in every table; copy its file."""
    place = tmp_path_factory.mktemp("filled") / "bank.db"
    with create_bank(f"sqlite:///{place}") as bank:
        fill_every_table(bank)
        for version in (2, None, 2):
            if version is None:
                bank.drop_alias("mood", "production")
            else:
                bank.alias(f"mood@{version}", "production")
    return place


@pytest.fixture
def bank(filled: Path, tmp_path: Path) -> Bank:
    """A copy of that bank, to be damaged."""
    shutil.copy(filled, tmp_path / "bank.db")
    return Bank(f"sqlite:///{tmp_path}/bank.db")


def found(bank: Bank) -> str:
    """Return what the integrity check finds; fail if it finds nothing."""
    report = verify_all(bank, level="integrity")
    assert not report.ok
    return messages(report)


@pytest.mark.parametrize("table", [name for name in SEALED if name != "bank"])
def test_a_lost_row_of_any_table_is_found(bank: Bank, table: str) -> None:
    """The newest row of each table, deleted behind the bank's back, is missed by its id."""
    row = max(int(str(row[0])) for row in rows(bank, table))
    rewrite(bank, f"DELETE FROM {table} WHERE id = {row}")
    assert f"table {table!r} has lost rows" in found(bank)


@pytest.mark.parametrize("table", ["aliases", "retirements", "trials", "runs", "tolerances"])
def test_an_added_row_is_found(bank: Bank, table: str) -> None:
    """A copy of a row under another id, seal and all, is a row that no entry lists."""
    columns = [column.name for column in SEALED_TABLES[SEALED.index(table)].__table__.columns]
    names = ", ".join(f'"{name}"' for name in columns)
    values = names.replace('"id"', "900").replace('"version"', '"version" + 1')
    rewrite(bank, f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} LIMIT 1")
    assert "no entry of the chain lists" in found(bank)


def test_exchanged_ids_are_found(bank: Bank) -> None:
    """An alias moves when the ids of its changes are exchanged; every seal still fits."""
    assert bank["mood@production"].version == 2
    rewrite(bank, "UPDATE aliases SET id = 5 - id WHERE id IN (2, 3)", on="aliases")
    said = found(bank)
    assert "row 2 of table 'aliases' is not the row that entry" in said
    assert "row 3 of table 'aliases' is not the row that entry" in said


@pytest.mark.parametrize("table", ["tags", "metrics", "predictions", "results", "findings"])
def test_another_id_of_a_child_row_is_found(bank: Bank, table: str) -> None:
    """Child rows are listed with their ids, which give their order."""
    rewrite(bank, f"UPDATE {table} SET id = id + 900 WHERE id = (SELECT min(id) FROM {table})")
    assert "chain recorded under these ids" in found(bank)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE chain SET id = 7 - id WHERE id IN (3, 4)", "of the chain was changed"),
        ("UPDATE chain SET changes = replace(changes, '1', '2') WHERE id = 3", "was changed"),
        ("UPDATE chain SET at = 'never' WHERE id = 3", "entry 3 of the chain was changed"),
        ("UPDATE chain SET head = 'none' WHERE id = 3", "entry 3 of the chain was changed"),
        ("UPDATE chain SET changes = x'00' WHERE id = 3", "column changes cannot be read"),
        ("UPDATE chain SET changes = '[' WHERE id = 3", "entry 3 of the chain cannot be read"),
        ("DELETE FROM chain WHERE id = 3", "lacks entries that came before entry 4: 3"),
        ("DELETE FROM chain WHERE id = (SELECT max(id) FROM chain)", "no entry of the chain lists"),
        ("DELETE FROM chain", "the chain is empty"),
    ],
)
def test_a_changed_entry_is_found(bank: Bank, statement: str, says: str) -> None:
    """Changed, reordered and lost entries are findings, and the walk goes on after them."""
    rewrite(bank, statement, on="chain")
    assert says in found(bank)


def test_rows_that_gc_deleted_are_not_missed(bank: Bank) -> None:
    """The chain says what gc deleted; what it says of other rows is a finding."""
    bank.gc(confirm=True)
    assert verify_all(bank, level="integrity").ok
    head = bank.head()
    rewrite(
        bank,
        "INSERT INTO chain VALUES (?, 'now', '{\"inserted\":{},\"deleted\":{\"tasks\":[1]}}', '')",
        head.entries + 1,
    )
    assert "says that gc deleted row 1 of table 'tasks'" in found(bank)


def test_an_earlier_bank_is_found_by_a_head_that_was_kept(bank: Bank, tmp_path: Path) -> None:
    """A bank put back to an earlier state is in itself intact; the head of the later is missed,
    and the head of the earlier is in the later bank's chain, with the number of entries since."""
    shutil.copy(tmp_path / "bank.db", tmp_path / "earlier.db")
    earlier = bank.head()
    bank.set_tolerance("mood", 0.5)
    later = bank.head()
    report = verify_all(bank, level="integrity", expect=earlier.digest)
    assert report.ok
    assert report.expected == earlier.entries == report.head.entries - 2
    with Bank(f"sqlite:///{tmp_path}/earlier.db") as put_back:
        assert verify_all(put_back, level="integrity").ok
        report = verify_all(put_back, level="integrity", expect=later.digest)
        assert "no entry with the expected head" in messages(report)
        assert report.expected is None
