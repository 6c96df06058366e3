"""Blobs as files: which file holds which blob, in a folder or behind a URL alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select

from taskbank.bank.blobs.owners import MARK, Owner, check_sole_owner, check_there, sign
from taskbank.bank.blobs.store import Leftover, check_blob
from taskbank.digests import DIGEST, PREFIX, digest_bytes
from taskbank.errors import BankError, DamagedError, ResourceError

UNFINISHED = ".unfinished-"
BLOB = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})")


@dataclass(frozen=True)
class StoredFile:
    """A file in a store.

    Attributes:
        name: its path within the store, with `/` between folders.
        size: size in bytes; None for what has no content, such as a folder or a pipe.
        age: seconds since it was last written; 0 if the store does not tell.
    """

    name: str
    size: int | None
    age: float


class Files(Protocol):
    """Files by name, each written as a whole or not at all. Every failure is a `BankError`."""

    @property
    def place(self) -> str:
        """Where the files are, for messages."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is no file of that name."""

    def stat(self, name: str) -> StoredFile | None:
        """Return the size and the age of a file; None if there is no file of that name."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one of its name; return whether it was written.

        A place that cannot tell at the moment of writing whether there is one overwrites it. So the
        name must say what the content is.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a file, in place of the one of that name."""

    def remove(self, name: str) -> None:
        """Delete a file; do nothing if it does not exist."""

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file, ordered by name."""

    def validators(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each file, in order, with a text that differs once it was written.

        A place that has no such texts, or where whoever writes may set them, yields nothing.
        """

    def is_empty(self) -> bool:
        """Return whether there is nothing, not even the place."""


class FileBlobs:
    """The blob store in a set of files.

    Args:
        files: the files.
        owner: the bank that uses the store; None for a store that is only looked at.
    """

    outside = True

    def __init__(self, files: Files, owner: Owner | None = None) -> None:
        self.files, self.owner = files, owner
        self._claimed = owner is None

    def claim(self) -> None:
        """Write into the store, unless it is there, that this bank keeps its blobs in it."""
        if not self._claimed and self.owner is not None:
            check_there(self.files, self.owner)
            sign(self.files, self.owner)
            self._claimed = True

    def check_sole_owner(self) -> None:
        """Raise unless this bank alone keeps its blobs in the store."""
        if self.owner is not None:
            check_sole_owner(self.files, self.owner)

    def stage(self, data: bytes) -> None:
        """Write the file if there is none; overwrite it only if it has other bytes."""
        self.claim()
        name = file_name(digest_bytes(data))
        if self.files.stat(name) is None and self.files.create(name, data):
            return
        if not self._holds(name, data):
            self.files.write(name, data)

    def put(self, data: bytes, connection: Connection) -> str:
        """Write the file again if gc has deleted it since `stage`; return the digest."""
        digest = digest_bytes(data)
        stored = self.files.stat(file_name(digest))
        if stored is None or stored.size != len(data):
            self.stage(data)
        return digest

    def has(self, digest: str, connection: Connection) -> bool:
        """Return whether there is a file of that name."""
        return self.files.stat(file_name(digest)) is not None

    def get(self, digest: str, connection: Connection | None = None) -> bytes:
        """Return the bytes with a given digest, after checking them against it."""
        name = file_name(digest)
        data = self.files.read(name)
        if data is None and self.owner is not None:
            check_there(self.files, self.owner)
        if data is not None and digest_bytes(data) != digest:
            data = self.files.read(name)  # the bytes may have changed on their way
        return check_blob(digest, data, self.files.place)

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob's file, while the transaction still excludes every writer."""
        connection.execute(select(1))  # fails if the lock was lost with the connection
        self.files.remove(file_name(digest))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""
        for file in self.files.walk():
            match = BLOB.fullmatch(file.name)
            if match and file.size is not None:
                yield f"{PREFIX}{match[2]}", file.size

    def validators(self) -> Iterator[tuple[str, str]]:
        """Yield the digests of blobs, in order, with a text that differs once one was written."""
        for name, validator in self.files.validators():
            match = BLOB.fullmatch(name)
            if match:
                yield f"{PREFIX}{match[2]}", validator

    def age(self, digest: str) -> float:
        """Return the seconds since a blob was written; 0 if the store does not tell."""
        stored = self.files.stat(file_name(digest))
        return stored.age if stored is not None else 0.0

    def leftovers(self) -> Iterator[Leftover]:
        """Yield every file in the store that is neither a blob nor the mark of a bank."""
        for file in self.files.walk():
            is_blob = BLOB.fullmatch(file.name) and file.size is not None
            if not is_blob and not MARK.fullmatch(file.name):
                base = file.name.rpartition("/")[2]
                unfinished = base.startswith(UNFINISHED) and file.size is not None
                yield Leftover(file.name, unfinished, file.age)

    def discard(self, name: str) -> None:
        """Delete an unfinished file."""
        self.files.remove(name)

    def _holds(self, name: str, data: bytes) -> bool:
        try:
            stored = self.files.stat(name)
            return stored is not None and stored.size == len(data) and self.files.read(name) == data
        except (BankError, ResourceError):  # an unreadable file is written again
            return False


def file_name(digest: str) -> str:
    """Return the relative path of a blob: a folder of two hex digits, then the full digest.

    Raises:
        DamagedError: if the text is not a digest, so that no other text becomes a path.
    """
    if not DIGEST.fullmatch(digest):
        raise DamagedError(f"{digest!r} is not a digest: the row that contains it is damaged")
    hex_digits = digest.removeprefix(PREFIX)
    return f"{hex_digits[:2]}/{hex_digits}"
