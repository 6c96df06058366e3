"""Files at any URL that fsspec can read and write, such as an object store."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from operator import itemgetter
from typing import Any

from taskbank.bank.blobs.files import StoredFile
from taskbank.bank.blobs.retries import is_damage, may_pass, repeated, status_of
from taskbank.errors import (
    DamagedError,
    InputError,
    MissingExtraError,
    ResourceError,
    UnreachableError,
)
from taskbank.redaction import redacted

# Protocols of stores without folders. Their drivers would make a bucket of a mistyped name.
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"})
BLOCK = 16 * 2**20  # bytes of a file to read at once
PRECONDITION_FAILED, EMPTY_RANGE = 412, 416
UNSUPPORTED = (400, 405, 501)  # what servers answer to a condition that they do not know
UNSUPPORTED_ERRORS = (NotImplementedError, TypeError, ValueError)  # and drivers
DENIED = (401, 403)
SECRET = re.compile("secret|token|password|credential|key", re.IGNORECASE)  # in names of settings
SHORTEST_SECRET = 8
TAGS = ("ETag", "etag")
# What the drivers call the time of the last write.
TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class Remote:
    """The files at an fsspec URL; the remote store must make uploads visible atomically.

    Raises:
        InputError: if the URL is invalid.
        MissingExtraError: if its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self._shown = redacted(url)  # banks of earlier versions may have recorded a password
        try:
            self.system, self.root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingExtraError(
                f"blobs URL {self._shown!r} needs a driver ({redacted(str(error))}): for S3, run "
                "pip install 'taskbank[s3]'"
            ) from None
        except ValueError as error:
            reason = redacted(str(error))
            raise InputError(f"blobs URL {self._shown!r} cannot be opened: {reason}") from None
        protocol = self.system.protocol
        self._has_buckets = not BUCKETS.isdisjoint(
            (protocol,) if isinstance(protocol, str) else protocol
        )

    @property
    def place(self) -> str:
        """The URL, without secrets."""
        return self._shown

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is no file of that name.

        A big file is read block by block: drivers that read it at once hold it several times, and
        a connection that breaks costs one block.
        """
        try:
            first = self._read(name, 0, BLOCK)
            if len(first) < BLOCK:
                return first
            details = self._call(name, "read", lambda: self.system.info(self._path(name)))
            content = BytesIO()  # gives its bytes without copying them
            block = first
            while block:
                content.write(block)
                start = content.tell()
                end = min(start + BLOCK, details["size"])
                block = self._read(name, start, end) if start < end else b""
        except FileNotFoundError:
            return None
        return content.getvalue()

    def stat(self, name: str) -> StoredFile | None:
        """Return the size and the age of a file; None if there is no file of that name."""
        try:
            details = self._call(name, "read", lambda: self.system.info(self._path(name)))
        except FileNotFoundError:
            return None
        stored = _stored(name, details)
        return stored if stored.size is not None else None

    def create(self, name: str, data: bytes) -> bool:
        """Upload a file unless there is one of its name; return whether it was uploaded.

        The store itself makes sure that nothing is overwritten, if it can: S3 by `If-None-Match`,
        Google's by the generation 0, Azure's by its condition.
        """
        try:
            self._upload(name, data, mode="create")
        except FileExistsError:
            return False
        except _NoConditions:
            self._upload(name, data, mode="overwrite")
        return True

    def write(self, name: str, data: bytes) -> None:
        """Upload a file, in place of the one of that name."""
        self._upload(name, data, mode="overwrite")

    def remove(self, name: str) -> None:
        """Delete a file; do nothing if it does not exist."""
        with suppress(FileNotFoundError):
            self._call(name, "deleted", lambda: self.system.rm_file(self._path(name)))

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file below the URL."""
        for name, details in self._listing():
            yield _stored(name, details)

    def validators(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each file that has an ETag, with the ETag, its size and its time."""
        for name, details in self._listing():
            tag = next((details[key] for key in TAGS if details.get(key)), None)
            if tag is not None:
                moment = next((details[key] for key in TIMES if details.get(key)), None)
                yield name, f"{tag} {details.get('size')} {moment}"

    def _listing(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield every file below the URL, folder by folder, so that few are in memory at a time."""
        for path, details in self._listed(self.system.ls, self.root):
            if details.get("type") == "directory":
                files = self._listed(self.system.find, path)
            else:
                files = [(path, details)]
            for file, own in files:
                yield file.removeprefix(self.root).lstrip("/"), own

    def _listed(
        self, operation: Callable[..., Any], path: str
    ) -> list[tuple[str, Mapping[str, Any]]]:
        try:
            found = self._call("", "listed", lambda: operation(path, detail=True))
        except FileNotFoundError:
            return []
        entries = found.values() if isinstance(found, dict) else found
        named = {str(details["name"]): details for details in entries}
        return sorted((item for item in named.items() if item[0] != path), key=itemgetter(0))

    def is_empty(self) -> bool:
        """Return whether nothing is below the URL."""
        try:
            return not self._call("", "listed", lambda: self.system.ls(self.root, detail=False))
        except FileNotFoundError:
            return True

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _read(self, name: str, start: int, end: int) -> bytes:
        def read() -> bytes:
            try:
                data: bytes = self.system.cat_file(self._path(name), start=start, end=end)
            except Exception as error:
                if status_of(error) == EMPTY_RANGE:  # the file has no bytes
                    return b""
                raise
            return data

        found: bytes = self._call(name, "read", read)
        return found

    def _upload(self, name: str, data: bytes, mode: str) -> None:
        path = self._path(name)
        if not self._has_buckets:
            folder = path.rpartition("/")[0]
            self._call(name, "written", lambda: self.system.makedirs(folder, exist_ok=True))
        try:
            self._call(name, "written", lambda: self._pipe(path, data, mode))
        except FileNotFoundError as error:
            raise InputError(
                f"{name} could not be written to the blob store {self._shown} "
                f"({self._reason(error)}): create the bucket first, or correct the URL"
            ) from None

    def _pipe(self, path: str, data: bytes, mode: str) -> None:
        try:
            self.system.pipe_file(path, data, mode=mode)
        except Exception as error:
            if mode != "create":
                raise
            if status_of(error) == PRECONDITION_FAILED:  # s3fs does not know every server's words
                raise FileExistsError from error
            if status_of(error) in UNSUPPORTED or isinstance(error, UNSUPPORTED_ERRORS):
                raise _NoConditions from error
            raise

    def _call(self, name: str, verb: str, operation: Callable[[], Any]) -> Any:
        def uncached() -> Any:
            # A driver may remember a listing from before another process changed the store.
            self.system.invalidate_cache()
            return operation()

        try:
            return repeated(uncached)
        except (FileNotFoundError, FileExistsError, _NoConditions):
            raise
        except Exception as error:  # every driver raises its own exception types
            what = f"{name} could not be {verb}" if name else f"its files could not be {verb}"
            failure, advice = _judged(error)
            raise failure(
                f"the blob store {self._shown} failed: {what}: {self._reason(error)}; {advice}"
            ) from None

    def _reason(self, error: Exception) -> str:
        settings = {**os.environ, **self.system.storage_options}
        secrets = (
            value
            for key, value in settings.items()
            if isinstance(value, str) and len(value) >= SHORTEST_SECRET and SECRET.search(key)
        )
        return redacted(str(error) or type(error).__name__, secrets)


class _NoConditions(Exception):
    """A store, or its driver, cannot create a file on the condition that there is none."""


def _judged(error: Exception) -> tuple[type[ResourceError | DamagedError], str]:
    """Return the error that a failure is for the bank, and what to do about it."""
    status = status_of(error)
    if isinstance(error, PermissionError) or status in DENIED or "Credentials" in repr(error):
        return ResourceError, (
            "check that the credentials are set, and that they allow reading, writing, listing "
            "and deleting there"
        )
    if is_damage(error):
        return DamagedError, "it is damaged: restore it from a copy"
    if may_pass(error):
        return UnreachableError, (
            "it was tried again for a while: check the network and the store, and run it again"
        )
    # Waiting may help against a failure that is not known, but not against a refusal.
    refused = status is not None and 400 <= status < 500
    return (
        ResourceError if refused else UnreachableError,
        "check the URL, and the store's own configuration",
    )


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
