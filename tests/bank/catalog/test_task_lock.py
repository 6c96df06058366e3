"""Writers of one task wait for each other, writers of others do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.task_lock import lock_task
from taskbank.bank.open import create_bank


@pytest.mark.server
def test_a_locked_task_can_only_be_locked_later(new_database: Callable[[], str]) -> None:
    """A second transaction that may not wait is refused the same task and gets another."""
    with create_bank(new_database()) as bank, write_transaction(bank._engine) as first:
        lock_task(first, 7)
        with write_transaction(bank._engine) as second:
            free = text("SELECT pg_try_advisory_xact_lock(1952543595, :task)")
            assert second.execute(free, {"task": 8}).scalar() is True
            assert second.execute(free, {"task": 7}).scalar() is False


def test_sqlite_needs_no_lock(own: Bank) -> None:
    """Its transaction excludes every other writer."""
    with write_transaction(own._engine) as connection:
        lock_task(connection, 7)
