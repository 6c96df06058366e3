"""A bank that is older than chains gets its chain at the upgrade."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog import rows
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.migrate import downgrade
from taskbank.bank.open import upgrade_bank
from taskbank.errors import DamagedError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import fill_every_table
from tests.helpers.findings import messages
from tests.helpers.tampering import rewrite

PREVIOUS = Path(__file__).parents[2] / "data" / "previous" / "bank.sqlite"


def test_the_chain_covers_all_that_an_old_bank_holds(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the upgrade the integrity check finds nothing; rows go into several entries."""
    fill_every_table(bank, newest=False)
    with write_transaction(bank._engine) as connection:
        downgrade(connection, "0005")
    monkeypatch.setattr(rows, "CHUNK_SIZE", 2)
    upgrade_bank(bank.url)
    assert verify_all(bank, level="integrity").findings == ()
    assert bank.head().entries > 13


def test_a_row_lost_after_the_upgrade_is_found(tmp_path: Path) -> None:
    """The chain of the upgraded bank protects its old rows."""
    shutil.copy(PREVIOUS, tmp_path / "bank.db")
    url = f"sqlite:///{tmp_path}/bank.db"
    assert upgrade_bank(url) == "0004"
    with Bank(url) as bank:
        head = bank.head()
        assert upgrade_bank(url) != "0004"
        assert bank.head() == head
        rewrite(bank, "DELETE FROM tolerances")
        report = verify_all(bank, level="integrity", expect=head.digest)
        assert "table 'tolerances' has lost rows" in messages(report)


def test_an_old_bank_that_cannot_be_read_is_not_upgraded(tmp_path: Path) -> None:
    """A value that cannot be read is an error that leaves the old bank as it was."""
    shutil.copy(PREVIOUS, tmp_path / "bank.db")
    url = f"sqlite:///{tmp_path}/bank.db"
    with sqlite3.connect(tmp_path / "bank.db") as connection:
        connection.execute("DROP TRIGGER aliases_no_update")
        connection.execute("UPDATE aliases SET seal = x'00'")
    connection.close()
    before = (tmp_path / "bank.db").read_bytes()
    with pytest.raises(DamagedError, match="cannot be read"):
        upgrade_bank(url)
    assert (tmp_path / "bank.db").read_bytes() == before
