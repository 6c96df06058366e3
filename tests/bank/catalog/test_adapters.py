"""Adapters: found by name, version or alias, and refused where a row was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import (
    DamagedError,
    NotFoundError,
)
from tests.helpers.adapters import new_adapter


def test_versions_count_up_and_stay(stored: Bank) -> None:
    """A second version leaves the first as it was, and a bare name means the newest."""
    first = stored.put(new_adapter())
    second = stored.put(new_adapter(seed=1), new_version=True)
    assert (first.version, second.version) == (1, 2)
    assert stored["mood@1"] == first
    assert stored["mood"] == second
    assert [record.ref for record in stored] == ["mood@1", "mood@2"]
    assert len(stored) == 2


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("nothing", "no task 'nothing'"),
        ("mood@7", "no version 7"),
        ("mood@99999999999999999999", "no version"),
        ("mood@production", "no alias 'production'"),
        ("mood@", "no alias ''"),
        ("", "no task ''"),
        ("'; DROP TABLE tasks; --", "no task"),
    ],
)
def test_a_reference_to_nothing_says_so(bank: Bank, ref: str, says: str) -> None:
    """An unknown task, version or alias is an error that names it."""
    bank.put(new_adapter())
    with pytest.raises(NotFoundError, match=says):
        bank[ref]


def test_a_row_that_was_changed_is_not_used(tmp_path: Path) -> None:
    """An adapter whose label names were swapped behind the bank's back is refused, not used."""
    import sqlite3

    path = tmp_path / "bank.db"
    with create_bank(f"sqlite:///{path}") as bank:
        bank.put(new_adapter())
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TRIGGER adapters_no_update")
            connection.execute('UPDATE adapters SET labels = \'["good","bad"]\'')
        connection.close()
        with pytest.raises(DamagedError, match="was changed"):
            bank["mood"]
