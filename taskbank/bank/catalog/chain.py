"""The chain: one entry for each transaction that recorded something, each sealing all before it.

An entry lists the rows that its transaction inserted, by table and id, each with its *mark*, and
the rows that garbage collection deleted. The mark of a row is its seal; for a row with child rows
it also covers those (see `seals.family_seal`). The *head* of an entry is the digest of the entry
and of the previous head. So one head stands for everything recorded up to then, and for its order.

Writers meet only here: an entry is appended right before its transaction commits, under a lock
that the database releases with the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection, func, insert, select, text

from taskbank.bank.catalog.tables import ChainRow
from taskbank.bank.records import Head
from taskbank.digests import Json, canonical_json, digest_json
from taskbank.runtime.clock import now

LOCK = 0x7461736B6861696E  # PostgreSQL advisory lock of the newest entry; SQLite has one writer
NEWEST = select(ChainRow.id, ChainRow.head, ChainRow.at).where(
    ChainRow.id == select(func.max(ChainRow.id)).scalar_subquery()
)


@dataclass
class Changes:
    """The rows that a transaction has inserted and deleted so far.

    Attributes:
        inserted: the marks of the inserted rows, by table and id.
        deleted: the ids of the deleted rows, by table.
        copied: the bank that the rows were copied from; see `chain_copies`. None if they were made
            in this bank.
    """

    inserted: dict[str, dict[int, str]] = field(default_factory=dict)
    deleted: dict[str, list[int]] = field(default_factory=dict)
    copied: Mapping[str, Json] | None = None

    def insert(self, table: str, row_id: int, mark: str) -> None:
        """Add an inserted row, or give it another mark."""
        self.inserted.setdefault(table, {})[row_id] = mark

    def delete(self, table: str, ids: Iterable[int]) -> None:
        """Add deleted rows; the child rows of a deleted row are deleted with it."""
        ids = sorted(ids)
        if ids:
            self.deleted.setdefault(table, []).extend(ids)

    def __bool__(self) -> bool:
        return bool(self.inserted or self.deleted)

    def to_text(self) -> str:
        """Return the canonical JSON that an entry stores."""
        changes: dict[str, Json] = {"inserted": self.inserted, "deleted": self.deleted}
        return canonical_json(changes if self.copied is None else changes | {"copied": self.copied})


def changes_of(connection: Connection) -> Changes:
    """Return the changes of a write transaction."""
    return cast(Changes, connection.get_execution_options()["changes"])


def head_of(previous: str, number: int, at: str, changes: str) -> str:
    """Return the head of an entry.

    Args:
        previous: the head of the entry before it; empty for the first entry.
        number: the entry's number.
        at: when it was appended.
        changes: its changes as they are stored.
    """
    return digest_json([previous, number, at, changes])


def append_entries(connection: Connection, entries: Sequence[Changes]) -> None:
    """Append entries; nothing may be written to other tables between this and the commit."""
    if not entries:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    newest = read_head(connection)
    number, head = (newest.entries, newest.digest) if newest else (0, "")
    rows = []
    for changes in entries:
        number, at, stored = number + 1, now(), changes.to_text()
        head = head_of(head, number, at, stored)
        rows.append({"id": number, "at": at, "changes": stored, "head": head})
    connection.execute(insert(ChainRow), rows)


def read_head(connection: Connection) -> Head | None:
    """Return the head of the chain; None if the chain is empty."""
    row = connection.execute(NEWEST).one_or_none()
    return None if row is None else Head(*row)
