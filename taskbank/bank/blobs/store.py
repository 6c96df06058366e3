"""What a blob store can do, and what all of them check. Knows nothing of what bytes mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import Connection

from taskbank.digests import DIGEST, digest_bytes
from taskbank.errors import DamagedError, GoneError


class BlobStore(Protocol):
    """Bytes by digest: a blob appears whole or not at all, and never changes.

    `put` and `delete` happen inside the transaction that records or deletes the rows which
    need the blob. A store outside the catalog cannot take part in it, so a crash there
    leaves a blob without a row, for gc, and never a row without its blob.
    """

    def stage(self, data: bytes) -> None:
        """Do what can be done before the transaction, so that it stays short."""

    def put(self, data: bytes, connection: Connection) -> str:
        """Store some bytes unless they are there, and return their digest."""

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest, checked.

        Raises:
            DamagedError: if they are gone, or are not what the digest says.
        """

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob; one that is not there is no error."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Give the digest and the size of every blob."""


def checked(digest: str, data: bytes | None, where: str) -> bytes:
    """Return a blob's bytes if they are what the digest says.

    Args:
        digest: the digest asked for.
        data: what the store holds, or none.
        where: the store, for the error.

    Raises:
        GoneError: if there are none.
        DamagedError: if they differ.
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


def file_name(digest: str) -> str:
    """Return the relative file name of a blob: two hex digits, then all of them.

    Raises:
        DamagedError: if the digest is not one, so that no other text becomes a path.
    """
    if not DIGEST.fullmatch(digest):
        raise DamagedError(f"{digest!r} is not a digest: the row that holds it is damaged")
    hex_digits = digest.removeprefix("sha256:")
    return f"{hex_digits[:2]}/{hex_digits}"
