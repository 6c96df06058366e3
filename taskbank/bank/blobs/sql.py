"""Blobs as rows of the catalog: one transaction covers weights and metadata."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, delete, insert, select

from taskbank.bank.blobs.store import check_blob
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.tables import BlobRow
from taskbank.digests import digest_bytes


class CatalogBlobs:
    """The blob store inside the bank's own database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def stage(self, data: bytes) -> None:
        """Do nothing: `put` does all the work inside the transaction."""

    def put(self, data: bytes, connection: Connection) -> str:
        """Store bytes unless the catalog has them; return their digest."""
        digest = digest_bytes(data)
        known = select(BlobRow.digest).where(BlobRow.digest == digest)
        if connection.execute(known).scalar() is None:
            values = {"digest": digest, "size": len(data), "data": data}
            if connection.dialect.name == "postgresql":
                from sqlalchemy.dialects import postgresql  # slow to import

                # Another transaction may be storing the same bytes concurrently.
                connection.execute(postgresql.insert(BlobRow).on_conflict_do_nothing(), values)
            else:
                connection.execute(insert(BlobRow), values)
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
