"""Blobs at any URL that fsspec can read and write, such as an object store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from taskbank.bank.blobs.store import check_blob, file_name
from taskbank.digests import digest_bytes
from taskbank.errors import BankError, InputError
from taskbank.redaction import redacted


class RemoteBlobs:
    """The blob store at an fsspec URL; the remote store must make uploads visible atomically.

    Raises:
        InputError: if the URL is invalid or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.name = redacted(url)  # banks of earlier versions may have recorded a password
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            reason = redacted(str(error))
            raise InputError(f"blobs URL {self.name!r} cannot be opened: {reason}") from None

    def stage(self, data: bytes) -> None:
        """Upload the bytes unless the store has them."""
        path = self._path(digest_bytes(data))
        self._call(lambda: None if self.files.exists(path) else self._upload(path, data))

    def put(self, data: bytes, connection: Connection) -> str:
        """Upload the bytes again if gc has deleted them since `stage`; return the digest."""
        self.stage(data)
        return digest_bytes(data)

    def get(self, digest: str) -> bytes:
        """Return the bytes with a given digest, after checking them against it."""
        path = self._path(digest)
        try:
            data = self._call(lambda: self.files.cat_file(path))
        except FileNotFoundError:
            data = None
        return check_blob(digest, data, self.name)

    def delete(self, digest: str, connection: Connection) -> None:
        """Delete a blob."""
        path = self._path(digest)
        self._call(lambda: self.files.rm_file(path) if self.files.exists(path) else None)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and the size in bytes of every blob."""
        listing = self._call(lambda: self.files.find(self.root, detail=True))
        for path, details in sorted(listing.items()):
            yield f"sha256:{path.rsplit('/', 1)[-1]}", details["size"]

    def _path(self, digest: str) -> str:
        return f"{self.root}/{file_name(digest)}"

    def _upload(self, path: str, data: bytes) -> Any:
        self.files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        return self.files.pipe_file(path, data)

    def _call(self, operation: Any) -> Any:
        try:
            return operation()
        except FileNotFoundError:
            raise
        except Exception as error:  # every driver raises its own exception types
            reason = redacted(str(error))
            raise BankError(f"the blob store {self.name} failed: {reason}") from None
