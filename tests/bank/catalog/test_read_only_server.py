"""A PostgreSQL database that takes no writes, as a replica does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import NotWritableError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter
from tests.helpers.writes import WRITES

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def replica(new_database: Callable[[], str]) -> Iterator[Bank]:
    """A bank with one adapter in a database whose transactions are read-only."""
    url = new_database()
    with create_bank(url) as bank:
        bank.put(new_adapter("one"))
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = engine.url.database
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    engine.dispose()
    with Bank(url) as bank:
        yield bank


def test_a_bank_on_it_can_be_read_and_verified(replica: Bank) -> None:
    """A verification says that it was not recorded."""
    assert [record.task for record in replica.query("score >= 0")] == ["one"]
    assert replica.weights(replica["one"])
    report = verify_all(replica, level="integrity")
    assert (report.ok, report.checked) == (True, 1)
    assert "is read-only" in (report.unrecorded or "")


@pytest.mark.parametrize("write", WRITES)
def test_what_would_write_is_refused(replica: Bank, write: Any) -> None:
    """Everything that records is one error of bad input that says why."""
    with pytest.raises(NotWritableError, match="is read-only"):
        write(replica)
