"""Remembers the rows whose blobs were read in full and found intact, and their store's words.

The *state* of a row is a digest of the row and of what the store lists of the files of its blobs.
While it is the same, nobody has written those files since they were read, if the store is honest.
A folder and a database have no such words: the blobs there are always read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, select

from taskbank.bank.blobs.listing import Listing
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.outdated_checks import begin_checks, delete_superseded
from taskbank.bank.catalog.rows import insert_rows
from taskbank.bank.catalog.tables import ByteCheckRow
from taskbank.digests import digest_json
from taskbank.errors import BankError, NotWritableError
from taskbank.runtime.clock import now

RULES = 1  # incremented when rows or blobs are checked for more than before
RANGE = 1000  # row ids whose states are in memory, and rows that are recorded together


@dataclass
class ByteChecks:
    """The recorded states of rows, and those of now.

    Args:
        engine: the bank's engine.
        connection: the transaction to read in.
        listing: what the store lists of all blobs.
        damaged: the ids of damaged rows of the table, which count for nothing.
        rely: whether to skip the blobs of rows whose state is a recorded one.
        writes: whether to record new states.

    Attributes:
        skipped: number of the skipped rows, by table.
    """

    engine: Engine
    connection: Connection
    listing: Listing
    damaged: Collection[int]
    rely: bool
    writes: bool
    skipped: Counter[str] = field(default_factory=Counter)
    _known: dict[int, str] = field(default_factory=dict)  # of one range of row ids
    _range: tuple[str, int] = ("", 0)
    _new: list[dict[str, Any]] = field(default_factory=list)

    def state(self, seals: Sequence[str], digests: Collection[str]) -> str | None:
        """Return the state of a row; None if the store says too little of its files.

        Args:
            seals: the seals of all rows that the check of its blobs depends on.
            digests: the digests of its blobs.
        """
        if not len(self.listing):
            return None
        files = [(digest, self.listing.get(digest)) for digest in sorted(set(digests))]
        if any(validator is None for _, validator in files):
            return None
        return digest_json({"rules": RULES, "rows": list(seals), "files": files})

    def skips(self, table: str, row_id: int, state: str | None) -> bool:
        """Return whether the blobs of a row need not be read; quick in the order of ids."""
        found = self.rely and state is not None and self._is_known(table, row_id, state)
        self.skipped[table] += found
        return found

    def record(self, table: str, row_id: int, state: str | None) -> None:
        """Record, with later ones, that the blobs of a row were read and found intact."""
        if state is None or not self.writes or self._is_known(table, row_id, state):
            return
        values = {"row_id": row_id, "state": state, "checked_at": now()}
        self._new.append({"of_table": table, **values})
        if len(self._new) == RANGE:
            self.flush()

    def flush(self) -> None:
        """Write what is not yet recorded. A bank that cannot be written to forgets it."""
        new, self._new = self._new, []
        if not new:
            return
        try:
            with write_transaction(self.engine, lasting=False) as connection:
                begin_checks(connection)
                insert_rows(connection, ByteCheckRow, new)
                checked: dict[str, list[int]] = defaultdict(list)
                for row in new:
                    checked[row["of_table"]].append(row["row_id"])
                delete_superseded(connection, checked)
        except (BankError, NotWritableError):
            self.writes = False

    def _is_known(self, table: str, row_id: int, state: str) -> bool:
        start = row_id - row_id % RANGE
        if self._range != (table, start):
            self._range, self._known = (table, start), self._read(table, start)
        return self._known.get(row_id) == state

    def _read(self, table: str, start: int) -> dict[int, str]:
        row = ByteCheckRow
        in_range = (row.row_id >= start) & (row.row_id < start + RANGE)
        query = select(row.id, row.row_id, row.state).where(row.of_table == table, in_range)
        found = self.connection.execute(query.order_by(row.id))
        return {row_id: state for own, row_id, state in found if own not in self.damaged}
