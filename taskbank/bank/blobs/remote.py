"""Blobs at any URL that fsspec reads and writes, such as an object store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from taskbank.bank.blobs.store import checked, file_name
from taskbank.digests import digest_bytes
from taskbank.errors import BankError, InputError


class RemoteBlobs:
    """The blob store behind an fsspec URL; the store must make an upload visible only whole.

    Raises:
        InputError: if no driver for the URL is installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(f"blobs URL {url!r} cannot be opened: {error}") from None

    def stage(self, data: bytes) -> None:
        """Upload the bytes, if they are not there."""
        path = self._path(digest_bytes(data))
        self._call(lambda: None if self.files.exists(path) else self._upload(path, data))

    def put(self, data: bytes, connection: Connection) -> str:
        """Upload the bytes if gc took them since they were staged, and return the digest."""
        self.stage(data)
        return digest_bytes(data)

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest, checked."""
        path = self._path(digest)
        try:
            data = self._call(lambda: self.files.cat_file(path))
        except FileNotFoundError:
            data = None
        return checked(digest, data, self.url)

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob."""
        path = self._path(digest)
        self._call(lambda: self.files.rm_file(path) if self.files.exists(path) else None)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Give the digest and the size of every blob."""
        found = self._call(lambda: self.files.find(self.root, detail=True))
        for path, details in sorted(found.items()):
            yield f"sha256:{path.rsplit('/', 1)[-1]}", details["size"]

    def _path(self, digest: str) -> str:
        return f"{self.root}/{file_name(digest)}"

    def _upload(self, path: str, data: bytes) -> Any:
        self.files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        return self.files.pipe_file(path, data)

    def _call(self, step: Any) -> Any:
        try:
            return step()
        except FileNotFoundError:
            raise
        except Exception as error:  # every driver raises its own kinds
            raise BankError(f"the blob store {self.url} failed: {error}") from error
