"""The interface of blob stores and their common checks, independent of what the bytes mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from taskbank.digests import digest_bytes
from taskbank.errors import DamagedError, GoneError


@dataclass(frozen=True)
class Leftover:
    """A file in a store that is not a blob.

    Attributes:
        name: its path within the store.
        unfinished: whether it is what a write of taskbank left when it was interrupted.
        age: seconds since it was last written; 0 if the store does not tell.
    """

    name: str
    unfinished: bool
    age: float


class BlobStore(Protocol):
    """Bytes by digest: a blob appears atomically and never changes.

    `put` and `delete` run inside the transaction that records or deletes the rows that refer to
    the blob. A store outside the catalog cannot take part in that transaction, so a crash there
    can leave a blob without a row, which gc names, but never a row without its blob.

    Attributes:
        outside: whether the store is outside the catalog, so that what `stage` did stays when the
            transaction fails.
    """

    outside: bool

    def claim(self) -> None:
        """Write into the store, unless it is there, that this bank keeps its blobs in it.

        Raises:
            UnreachableError: if the bank has blobs in the store, and nothing is there.
        """

    def check_sole_owner(self) -> None:
        """Raise unless this bank alone keeps its blobs in the store.

        Raises:
            ConflictError: if another bank, or another copy of this bank, does as well.
        """

    def stage(self, data: bytes) -> None:
        """Do the work that is possible before the transaction, to keep the transaction short."""

    def put(self, data: bytes, connection: Connection) -> str:
        """Store bytes, unless the store has exactly these; return their digest."""

    def has(self, digest: str, connection: Connection) -> bool:
        """Return whether there is a blob, for a transaction that is about to record its digest.

        A catalog computes the digest of what it holds. A file is only looked for.
        """

    def get(self, digest: str, connection: Connection | None = None) -> bytes:
        """Return the bytes with a given digest, after checking them against it.

        Args:
            digest: the digest.
            connection: the transaction whose state of the catalog to read; None means the newest.

        Raises:
            DamagedError: if the bytes are missing or do not match the digest.
        """

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob; do nothing if it does not exist."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""

    def validators(self) -> Iterator[tuple[str, str]]:
        """Yield the digests of blobs, in order, with a text that differs once one was written.

        A store that has no such texts, or where whoever writes may set them, yields nothing.
        """

    def age(self, digest: str) -> float:
        """Return the seconds since a blob was written; 0 if the store does not tell."""

    def leftovers(self) -> Iterator[Leftover]:
        """Yield every file in the store that is not a blob."""

    def discard(self, name: str) -> None:
        """Delete an unfinished file."""


def check_blob(digest: str, data: bytes | None, where: str) -> bytes:
    """Return a blob's bytes if they match its digest.

    Args:
        digest: the requested digest.
        data: the stored bytes; None if there are none.
        where: the store's name, for the error message.

    Raises:
        GoneError: if there are no bytes.
        DamagedError: if the bytes do not match the digest.
    """
    if data is None:
        raise GoneError(f"blob {digest} is missing from {where}: restore it from a copy")
    found = digest_bytes(data)
    if found != digest:
        raise DamagedError(
            f"blob {digest} in {where} is damaged: its {len(data):,} bytes have the digest "
            f"{found}; restore it from a copy"
        )
    return data
