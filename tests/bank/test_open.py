"""Opening, making and upgrading banks, and what is refused as none."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import connect, write_transaction
from taskbank.bank.catalog.tables import SCHEMA_REVISION
from taskbank.bank.open import create_bank, schema_of, upgrade_bank
from taskbank.errors import ConflictError, InputError, NotFoundError


def test_making_a_bank_twice_opens_the_first(url: str) -> None:
    """The second call finds the bank and changes nothing."""
    with create_bank(url) as first, create_bank(url) as second:
        assert first.blobs_url == second.blobs_url


def test_upgrading_an_up_to_date_bank_changes_nothing(url: str) -> None:
    """`db upgrade` may be run at any time."""
    create_bank(url).close()
    assert upgrade_bank(url) == SCHEMA_REVISION
    assert schema_of(url) == SCHEMA_REVISION


def test_a_database_without_a_bank_is_not_opened(url: str) -> None:
    """Opening what is not there is an error that says how to make it, and makes nothing."""
    with pytest.raises(NotFoundError, match="taskbank init"):
        Bank(url)
    with pytest.raises(NotFoundError):
        upgrade_bank(url)
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).exists()


def test_a_database_of_something_else_is_left_alone(url: str) -> None:
    """Neither opening nor making a bank touches a database with other tables."""
    engine = connect(url)
    with write_transaction(engine) as connection:
        connection.execute(text("CREATE TABLE invoices (id integer)"))
    for step in (Bank, create_bank):
        with pytest.raises(InputError, match="invoices"):
            step(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["invoices"]


def test_blobs_stay_where_the_bank_was_made_with(url: str, tmp_path: Path) -> None:
    """Another blob store for a bank that is there is refused."""
    create_bank(url, f"{tmp_path}/one").close()
    with pytest.raises(ConflictError, match="keeps its blobs in"):
        create_bank(url, f"{tmp_path}/two")


@pytest.mark.parametrize(
    ("blobs", "says"),
    [
        ("s3://key:hunter2@bucket/x", "no secrets"),
        ("nosuchprotocol://x", "cannot be opened"),
        (" ", "is empty"),
    ],
)
def test_an_unusable_blob_url_is_refused(tmp_path: Path, blobs: str, says: str) -> None:
    """A URL with a secret or of an unknown kind is refused before a bank is made."""
    with pytest.raises(InputError, match=says) as caught:
        create_bank(f"sqlite:///{tmp_path}/bank.db", blobs)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "bank.db").exists()
