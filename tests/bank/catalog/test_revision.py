"""Schema revisions that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import connect, write_transaction
from taskbank.bank.open import create_bank, schema_of, upgrade_bank
from taskbank.errors import InputError, SchemaError


def _set_revision(url: str, revision: str) -> None:
    with write_transaction(connect(url)) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_a_bank_of_a_newer_taskbank_is_refused(url: str) -> None:
    """An unknown schema is an error that says to upgrade taskbank, also from `db upgrade`."""
    create_bank(url).close()
    _set_revision(url, "9999")
    with pytest.raises(SchemaError, match="upgrade this one with pip") as caught:
        Bank(url)
    assert caught.value.exit_code == 3
    with pytest.raises(SchemaError, match="newer taskbank"):
        upgrade_bank(url)
    assert schema_of(url) == "9999"


@pytest.mark.parametrize("content", [b"x", b"SQLite", b"\x89PNG" + bytes(500), bytes(4096)])
def test_a_file_that_is_no_database_is_no_bank(tmp_path: Path, content: bytes) -> None:
    """A foreign file is refused with exit code 2, and stays as it is."""
    path = tmp_path / "foreign.db"
    path.write_bytes(content)
    for step in (Bank, create_bank):
        with pytest.raises(InputError, match="is not a bank") as caught:
            step(f"sqlite:///{path}")
        assert caught.value.exit_code == 2
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.99])
def test_a_bank_file_that_was_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    """A truncated bank is refused on opening, wherever it was cut."""
    path = tmp_path / "bank.db"
    create_bank(f"sqlite:///{path}").close()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut off|restore"):
        Bank(f"sqlite:///{path}")
