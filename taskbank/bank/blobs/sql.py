"""Blobs as rows of the catalog: one transaction covers weights and metadata."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, delete, insert, select, update

from taskbank.bank.blobs.store import Leftover, check_blob
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.tables import BlobRow
from taskbank.digests import digest_bytes


class CatalogBlobs:
    """The blob store inside the bank's own database."""

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
        own = BlobRow.digest == digest
        if connection.execute(select(BlobRow.digest).where(own)).scalar() is None:
            if connection.dialect.name == "postgresql":
                from sqlalchemy.dialects import postgresql  # slow to import

                # Another transaction may be storing the same bytes concurrently.
                connection.execute(postgresql.insert(BlobRow).on_conflict_do_nothing(), values)
            else:
                connection.execute(insert(BlobRow), values)
            return digest
        same = (BlobRow.data == data) & (BlobRow.size == len(data))
        if not connection.execute(select(same).where(own)).scalar():
            connection.execute(update(BlobRow).where(own).values(size=len(data), data=data))
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes with a given digest, after checking them against it."""
        with read_transaction(self.engine) as connection:
            query = select(BlobRow.data).where(BlobRow.digest == digest)
            return check_blob(digest, connection.execute(query).scalar(), "the catalog")

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob; the database refuses while a row refers to it."""
        connection.execute(delete(BlobRow).where(BlobRow.digest == digest))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""
        with read_transaction(self.engine) as connection:
            for row in connection.execute(select(BlobRow.digest, BlobRow.size)):
                yield row.digest, row.size

    def age(self, digest: str) -> float:
        """Return infinity: a row without a reference is not about to get one."""
        return math.inf

    def leftovers(self) -> Iterator[Leftover]:
        """Yield nothing: a table holds no files."""
        yield from ()

    def discard(self, name: str) -> None:
        """Do nothing: there are no unfinished files."""
