"""Files at any URL that fsspec can read and write, such as an object store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from taskbank.bank.blobs.files import StoredFile
from taskbank.errors import InputError, UnreachableError
from taskbank.redaction import redacted

# What the drivers call the time of the last write.
TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class Remote:
    """The files at an fsspec URL; the remote store must make uploads visible atomically.

    Raises:
        InputError: if the URL is invalid or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self._shown = redacted(url)  # banks of earlier versions may have recorded a password
        try:
            self.system, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            reason = redacted(str(error))
            raise InputError(f"blobs URL {self._shown!r} cannot be opened: {reason}") from None

    @property
    def place(self) -> str:
        """The URL, without secrets."""
        return self._shown

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is no file of that name."""
        try:
            data: bytes = self._call(lambda: self.system.cat_file(self._path(name)))
        except FileNotFoundError:
            return None
        return data

    def stat(self, name: str) -> StoredFile | None:
        """Return the size and the age of a file; None if there is no file of that name."""
        try:
            details = self._call(lambda: self.system.info(self._path(name)))
        except FileNotFoundError:
            return None
        stored = _stored(name, details)
        return stored if stored.size is not None else None

    def write(self, name: str, data: bytes) -> None:
        """Upload a file, in place of the one of that name."""
        path = self._path(name)
        folder = path.rsplit("/", 1)[0]
        self._call(lambda: self.system.makedirs(folder, exist_ok=True))
        self._call(lambda: self.system.pipe_file(path, data))

    def remove(self, name: str) -> None:
        """Delete a file; do nothing if it does not exist."""
        try:
            self._call(lambda: self.system.rm_file(self._path(name)))
        except FileNotFoundError:
            return

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file below the URL."""
        # A driver may have cached an earlier listing.
        self._call(self.system.invalidate_cache)
        listing = self._call(lambda: self.system.find(self.root, detail=True))
        for path, details in sorted(listing.items()):
            yield _stored(path.removeprefix(self.root).lstrip("/"), details)

    def is_empty(self) -> bool:
        """Return whether nothing is below the URL."""
        try:
            return not self._call(lambda: self.system.ls(self.root, detail=False))
        except FileNotFoundError:
            return True

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _call(self, operation: Any) -> Any:
        try:
            return operation()
        except FileNotFoundError:
            raise
        except Exception as error:  # every driver raises its own exception types
            reason = redacted(str(error))
            raise UnreachableError(f"the blob store {self._shown} failed: {reason}") from None


def _stored(name: str, details: Mapping[str, Any]) -> StoredFile:
    size = details.get("size") if details.get("type", "file") == "file" else None
    return StoredFile(name, size, _age(details))


def _age(details: Mapping[str, Any]) -> float:
    for key in TIMES:
        moment = details.get(key)
        try:
            if isinstance(moment, str):
                moment = datetime.fromisoformat(moment)
            if isinstance(moment, datetime):
                moment = moment.timestamp()
        except (ValueError, OverflowError):
            continue
        if isinstance(moment, int | float):
            return max(0.0, time.time() - moment)
    return 0.0
