"""Copies versions with all their evidence and history from one bank into another.

The source is read in one transaction, so that what others record meanwhile makes no difference.
Blobs come first, one at a time, then the rows that name them, a few in one transaction: a copy that
is killed leaves no row without its blob, and the next run copies the rest. What a transaction
records is decided within it, by what the target lacks at that moment: so nothing is copied twice,
by two copies at once either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text
from tqdm import tqdm

from taskbank.bank.blobs.store import BlobStore
from taskbank.bank.catalog.bank_row import read_bank_row
from taskbank.bank.catalog.chain import changes_of, read_head
from taskbank.bank.catalog.chain_copies import origin
from taskbank.bank.catalog.copying.part import Part
from taskbank.bank.catalog.copying.parts import PARTS
from taskbank.bank.catalog.copying.selection import (
    Number,
    Selection,
    check_conflicts,
    read_tasks,
    select_tasks,
)
from taskbank.bank.catalog.copying.versions import Versions
from taskbank.bank.catalog.database import (
    check_role,
    check_writable,
    home,
    read_transaction,
    settle,
    translate_errors,
    write_transaction,
)
from taskbank.bank.records import Copied
from taskbank.errors import DamagedError, InputError
from taskbank.runtime.clock import now

LOCK = 0x7461736B636F7079  # PostgreSQL advisory lock of copies into a bank; SQLite has one writer


@dataclass(frozen=True)
class Side:
    """One of the two banks: its engine and its blobs."""

    engine: Engine
    blobs: BlobStore


def copy_rows(
    source: Side,
    target: Side,
    *,
    task: str | None = None,
    since: str | None = None,
    rename: Mapping[str, str] = {},
    progress: bool = False,
) -> Copied:
    """Copy what one bank has and another lacks; see `Bank.copy_to`."""
    moment = parse_since(since)
    check_writable(target.engine)
    with ExitStack() as stack:
        reading = stack.enter_context(read_transaction(source.engine))
        bank, head = read_bank_row(reading), read_head(reading)
        if head is None:
            raise DamagedError("the chain of the bank to copy is empty: restore it from a copy")
        selection = select_tasks(reading, task, moment, rename)
        with read_transaction(target.engine) as there:
            check_role(there)
            other = read_bank_row(there)
            if (bank["uuid"], home(reading)) == (other["uuid"], home(there)):
                raise InputError("a bank cannot be copied into itself: name another one with --to")
            check_conflicts(reading, there, selection)
        target.blobs.claim()
        copy = _Copy(source, reading, target, selection, origin(bank["uuid"], head))
        try:
            copy.run(progress=progress)
        finally:
            settle(target.engine)
    return Copied(
        bank=bank["uuid"],
        head=head,
        copied=copy.copied,
        present=copy.present,
        blobs=copy.blobs,
        bytes=copy.size,
        kept=tuple(copy.kept),
        damaged=copy.damaged,
    )


def parse_since(since: str | None) -> str:
    """Return a time as records have it; empty for None.

    Raises:
        InputError: if the text is not an ISO 8601 date or time, or is a time to come.
    """
    if since is None:
        return ""
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise InputError(
            f"--since {since!r} is not a time: write a date such as 2026-11-30, or a time in UTC "
            "such as 2026-11-30T14:00"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    found = moment.isoformat(timespec="microseconds")
    if found > now():
        raise InputError(f"--since {since!r} is a time to come: nothing was recorded since")
    return found


@dataclass
class _Copy:
    """A copy under way.

    Attributes:
        source: the bank to read.
        reading: the transaction that reads it.
        target: the bank to write to.
        selection: what is to be copied.
        origin: what the target's chain says of where the rows come from.
        copied: number of copied items, by what they are.
        present: number of versions that were there already.
        blobs: number of copied blobs.
        size: their size in bytes.
        kept: what stays as it is in the target although the source has something else.
        damaged: what could not be copied, and why.
    """

    source: Side
    reading: Connection
    target: Side
    selection: Selection
    origin: Mapping[str, Any]
    copied: dict[str, int] = field(default_factory=dict)
    present: int = 0
    blobs: int = 0
    size: int = 0
    kept: dict[str, None] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)

    def run(self, *, progress: bool) -> None:
        """Copy everything, part by part."""
        there: frozenset[Number] = frozenset()
        with tqdm(desc="copying", unit="row", disable=None if progress else True) as bar:
            for make in PARTS:
                part = make(self.reading, self.selection, there)
                ids = part.ids()
                bar.total = (bar.total or 0) + len(ids)
                bar.refresh()
                copied = 0
                for start in range(0, len(ids), part.size):
                    page = ids[start : start + part.size]
                    copied += self._bring(part, part.load(page))
                    bar.update(len(page))
                self.copied[part.what] = copied
                self.kept |= part.kept
                if isinstance(part, Versions):
                    self.present = len(ids) - copied - len(self.damaged)
                    there = self._there()

    def _there(self) -> frozenset[Number]:
        """Return the versions that the target has by now, or that gc has destroyed here."""
        with read_transaction(self.target.engine) as connection:
            there = read_tasks(connection, list(self.selection.names.values()))
        return frozenset(
            (name, number)
            for name, task in self.selection.tasks.items()
            for number, version in task.versions.items()
            if version.id is None
            or (
                (own := there.get(self.selection.names[name])) is not None
                and (other := own.versions.get(number)) is not None
                and version.difference(other) is None
            )
        )

    def _bring(self, part: Part[Any], items: Sequence[Any]) -> int:
        """Copy the items that the target lacks, together; return how many.

        If a blob of one of several is damaged, each is copied by itself, and all but that one
        arrive.
        """
        with read_transaction(self.target.engine) as connection:
            lacking = part.absent(connection, items)
        if not lacking:
            return 0
        try:
            return self._record(part, items, lacking)
        except DamagedError as error:
            if len(items) > 1:
                return sum(self._bring(part, [item]) for item in items)
            self.damaged[part.name(items[0])] = str(error)
            return 0

    def _record(self, part: Part[Any], items: Sequence[Any], lacking: Sequence[Any]) -> int:
        if self.target.blobs.outside:
            for digest in _digests(part, lacking):
                self._stage(digest)
        # The end of the copy brings these records into a SQLite file.
        with write_transaction(self.target.engine, lasting=False) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            changes_of(connection).copied = self.origin
            part.lock(connection, items)
            lacking = part.absent(connection, items)
            for digest in _digests(part, lacking):
                self._put(digest, connection)
            for item in lacking:
                part.insert(connection, item)
        return len(lacking)

    def _stage(self, digest: str) -> None:
        """Write a blob into a store outside the catalog, and read it back."""
        data = self._read(digest)
        self.target.blobs.stage(data)
        self.target.blobs.get(digest)
        self._count(data)

    def _put(self, digest: str, connection: Connection) -> None:
        """Store a blob unless it is there, in the transaction that records what names it."""
        if not self.target.blobs.has(digest, connection):
            data = self._read(digest)
            self.target.blobs.put(data, connection)
            if not self.target.blobs.has(digest, connection):
                raise DamagedError(f"blob {digest} did not arrive as it was sent: run it again")
            self._count(data)

    def _count(self, data: bytes) -> None:
        self.blobs += 1
        self.size += len(data)

    def _read(self, digest: str) -> bytes:
        """Return the bytes of a blob of the source, checked against their digest."""
        with translate_errors(self.source.engine):  # also within a transaction of the target
            return self.source.blobs.get(digest, self.reading)


def _digests(part: Part[Any], items: Sequence[Any]) -> Iterator[str]:
    """Yield the digest of every blob of some items, each once."""
    yield from dict.fromkeys(digest for item in items for digest in part.digests(item))
