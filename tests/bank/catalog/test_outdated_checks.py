"""Records of byte checks do not pile up, and none goes that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from taskbank.bank.bank import Bank
from taskbank.bank.blobs.listing import Listing
from taskbank.bank.byte_checks import ByteChecks
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.tables import ByteCheckRow
from taskbank.digests import digest_bytes
from taskbank.verify.integrity import check_integrity
from tests.helpers.adapters import fill_every_table, new_adapter
from tests.helpers.tampering import rewrite

ROWS = [("adapters", 1), ("adapters", 2), ("trials", 1)]


def record(bank: Bank, *states: str, rows: Sequence[tuple[str, int]] = ROWS) -> None:
    """Let verifications that began at the same time record the same rows, each in its state."""
    with ExitStack() as stack, ThreadPoolExecutor(len(states)) as pool:
        written = []
        for state in states:
            connection = stack.enter_context(read_transaction(bank._engine))
            checks = ByteChecks(bank._engine, connection, Listing(()), (), rely=True, writes=True)
            for table, row_id in rows:
                checks.record(table, row_id, digest_bytes(state.encode()))
            written.append(checks)
        list(pool.map(ByteChecks.flush, written))


def recorded(bank: Bank) -> list[tuple[str, int, str]]:
    """Return the recorded states of rows."""
    row = ByteCheckRow
    with read_transaction(bank._engine) as connection:
        query = select(row.of_table, row.row_id, row.state).order_by(row.of_table, row.row_id)
        return [(table, own, state) for table, own, state in connection.execute(query)]


def test_a_newer_check_takes_the_place_of_the_one_before(bank: Bank) -> None:
    """Also where several verifications record at once, and the chain knows what went."""
    for state in ("first", "second"):
        record(bank, state)
        assert recorded(bank) == [(*row, digest_bytes(state.encode())) for row in ROWS]
    newest = bank.head().entries
    record(bank, *"abcd")
    assert bank.changed_tasks(newest)[1] == frozenset()  # a server has nothing to look up again
    assert [row[:2] for row in recorded(bank)] == ROWS
    bank.put(new_adapter())
    assert check_integrity(bank).findings == ()


def test_garbage_collection_deletes_checks_of_what_it_destroyed(bank: Bank) -> None:
    """Those of the adapter and of what was observed of it, and no others."""
    fill_every_table(bank)
    before = {row[:2] for row in recorded(bank)}
    assert ("adapters", 1) in before
    gone = [("adapters", 99), ("observations", 99), ("acceptances", 99)]
    record(bank, "now", rows=[*ROWS, *gone])
    bank.gc()
    assert {row[:2] for row in recorded(bank)} >= {*gone}
    bank.gc(confirm=True)
    assert not {row[:2] for row in recorded(bank)} & {*gone}
    assert ("trials", 1) in {row[:2] for row in recorded(bank)}
    assert check_integrity(bank).findings == ()


def test_a_damaged_check_stays_a_finding(own: Bank) -> None:
    """A newer one does not hide that somebody changed it."""
    own.put(new_adapter())
    record(own, "first")
    rewrite(own, "UPDATE byte_checks SET checked_at = '2020' WHERE id = 1")
    record(own, "second")
    own.gc(confirm=True)
    (finding,) = check_integrity(own).findings
    assert (finding.check, "byte_checks" in finding.message) == ("row", True)


def test_the_newest_check_of_a_row_cannot_be_deleted(bank: Bank) -> None:
    """The database refuses it, whoever asks."""
    bank.put(new_adapter())
    record(bank, "first")
    for table in ("adapters", "trials"):
        own = (ByteCheckRow.of_table == table) & (ByteCheckRow.row_id == 1)
        with pytest.raises(DBAPIError, match="only deleted by gc"), bank._engine.begin() as begun:
            begun.execution_options(writes=True).execute(delete(ByteCheckRow).where(own))
