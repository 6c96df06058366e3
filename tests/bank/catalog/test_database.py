"""Connections to SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from taskbank.bank.open import create_bank
from taskbank.errors import InputError


def test_a_closed_sqlite_bank_is_one_file_in_write_ahead_mode(tmp_path: Path) -> None:
    """Nothing lies beside the file once the bank is closed, so that it can be copied."""
    path = tmp_path / "bank.db"
    create_bank(f"sqlite:///{path}").close()
    assert [p.name for p in tmp_path.iterdir()] == ["bank.db"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root:hunter2@localhost/x", "unknown scheme 'mysql'"),
        ("sqlite:rubbish", "the bank URL is invalid"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///x.db?mode=ro", "options after"),
        ("sqlite:///no/such/folder/x.db", "is not a folder"),
        ("postgresql://joe:hunter2@127.0.0.1:9/x", "cannot be reached"),
        (
            "postgresql+psycopg2://joe:hunter2@127.0.0.1:9/x",
            r"scheme 'postgresql\+psycopg2'",
        ),
        ("postgresql+psycopg://joe:hunter2@[bad", "no server can have"),
    ],
)
def test_an_unusable_url_is_refused_without_its_password(url: str, says: str) -> None:
    """Every unusable bank URL is an error with exit code 2 that never shows a password."""
    with pytest.raises(InputError, match=says) as caught:
        create_bank(url)
    assert caught.value.exit_code == 2
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)
