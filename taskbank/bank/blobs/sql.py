"""Blobs as rows of the catalog: one transaction covers weights and metadata."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from taskbank.bank.blobs.store import Leftover, check_blob
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.tables import BlobRow
from taskbank.digests import digest_bytes

# Whether the stored bytes of a digest are the given ones.
SAME = select((BlobRow.data == bindparam("given")) & (BlobRow.size == bindparam("length"))).where(
    BlobRow.digest == bindparam("own")
)

# The digest of the bytes that are stored under one.
DIGEST_OF = {
    "sqlite": select(func.taskbank_digest(BlobRow.data)).where(BlobRow.digest == bindparam("own")),
    "postgresql": select("sha256:" + func.encode(func.sha256(BlobRow.data), "hex")).where(
        BlobRow.digest == bindparam("own")
    ),
}


@cache
def _insertion(*, on_server: bool) -> Executable:
    """Return the statement that inserts a blob, on a server unless there is one of its digest, and
    returns the digest of what it inserted."""
    if not on_server:
        return insert(BlobRow).returning(BlobRow.digest)
    from sqlalchemy.dialects import postgresql  # slow to import

    return postgresql.insert(BlobRow).on_conflict_do_nothing().returning(BlobRow.digest)


class CatalogBlobs:
    """The blob store inside the bank's own database."""

    outside = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def claim(self) -> None:
        """Do nothing: the table is the bank's own."""

    def check_sole_owner(self) -> None:
        """Do nothing: the table is the bank's own."""

    def stage(self, data: bytes) -> None:
        """Do nothing: `put` does all the work inside the transaction."""

    def put(self, data: bytes, connection: Connection) -> str:
        """Store bytes unless the catalog has exactly these; return their digest.

        A trigger lets a row be updated only if it is damaged, and only to bytes with its digest.
        """
        digest = digest_bytes(data)
        values = {"digest": digest, "size": len(data), "data": data}
        own = {"own": digest, "given": data, "length": len(data)}
        on_server = connection.dialect.name == "postgresql"
        same = None if on_server else connection.execute(SAME, own).scalar()
        if same is None:
            # On a server, another transaction may be storing the same bytes concurrently.
            statement = _insertion(on_server=on_server)
            if connection.execute(statement, values).scalar() is not None:
                return digest
            same = connection.execute(SAME, own).scalar()
        if not same:
            repair = update(BlobRow).where(BlobRow.digest == digest)
            connection.execute(repair.values(size=len(data), data=data))
        return digest

    def has(self, digest: str, connection: Connection) -> bool:
        """Return whether the catalog holds bytes of a digest, which the database computes."""
        found = DIGEST_OF[connection.dialect.name]
        return connection.execute(found, {"own": digest}).scalar() == digest

    def get(self, digest: str, connection: Connection | None = None) -> bytes:
        """Return the bytes with a given digest, after checking them against it."""
        with nullcontext(connection) if connection else read_transaction(self.engine) as reading:
            read = _read_file if reading.dialect.name == "sqlite" else _read_row
            return check_blob(digest, read(reading, digest), "the catalog")

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob; the database refuses while a row refers to it."""
        connection.execute(delete(BlobRow).where(BlobRow.digest == digest))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""
        with read_transaction(self.engine) as connection:
            for row in connection.execute(select(BlobRow.digest, BlobRow.size)):
                yield row.digest, row.size

    def validators(self) -> Iterator[tuple[str, str]]:
        """Yield nothing: a database says nothing of a row but the row."""
        yield from ()

    def age(self, digest: str) -> float:
        """Return infinity: a row without a reference is not about to get one."""
        return math.inf

    def leftovers(self) -> Iterator[Leftover]:
        """Yield nothing: a table holds no files."""
        yield from ()

    def discard(self, name: str) -> None:
        """Do nothing: there are no unfinished files."""


def _read_row(connection: Connection, digest: str) -> bytes | None:
    return connection.execute(select(BlobRow.data).where(BlobRow.digest == digest)).scalar()


def _read_file(connection: Connection, digest: str) -> bytes | None:
    """Return the bytes of a row without the copies that a query makes of them."""
    row = connection.execute(
        select(literal_column("rowid")).select_from(BlobRow).where(BlobRow.digest == digest)
    ).scalar()
    if row is None:
        return None
    opened: sqlite3.Connection | None = connection.connection.driver_connection
    assert opened is not None  # noqa: S101 - it has just answered
    with opened.blobopen(BlobRow.__tablename__, "data", row, readonly=True) as blob:
        return blob.read()
