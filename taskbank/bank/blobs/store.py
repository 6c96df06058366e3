"""The interface of blob stores and their common checks, independent of what the bytes mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import Connection

from taskbank.digests import DIGEST, digest_bytes
from taskbank.errors import DamagedError, GoneError


class BlobStore(Protocol):
    """Bytes by digest: a blob appears atomically and never changes.

    `put` and `delete` run inside the transaction that records or deletes the rows that refer to
    the blob. A store outside the catalog cannot take part in that transaction, so a crash there
    can leave a blob without a row, which gc deletes, but never a row without its blob.
    """

    def stage(self, data: bytes) -> None:
        """Do the work that is possible before the transaction, to keep the transaction short."""

    def put(self, data: bytes, connection: Connection) -> str:
        """Store bytes unless the store has them; return their digest."""

    def get(self, digest: str) -> bytes:
        """Return the bytes with a given digest, after checking them against it.

        Raises:
            DamagedError: if the bytes are missing or do not match the digest.
        """

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob; do nothing if it does not exist."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""


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


def file_name(digest: str) -> str:
    """Return the relative path of a blob: a folder of two hex digits, then the full digest.

    Raises:
        DamagedError: if the text is not a digest, so that no other text becomes a path.
    """
    if not DIGEST.fullmatch(digest):
        raise DamagedError(f"{digest!r} is not a digest: the row that contains it is damaged")
    hex_digits = digest.removeprefix("sha256:")
    return f"{hex_digits[:2]}/{hex_digits}"
