"""Files in a local folder, each written to a temporary file and then renamed."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from taskbank.bank.blobs.files import UNFINISHED, StoredFile
from taskbank.errors import BankError, ResourceError
from taskbank.redaction import redacted
from taskbank.runtime.regular_file import read_regular

PREFIX_LENGTH = 2  # hex digits in the name of a folder of blobs


class Folder:
    """The files of a store in a local folder; its subfolders are those of blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        """The folder's path."""
        return redacted(str(self.folder))  # earlier versions took some URLs for folders

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is no regular file of that name."""
        path = self.folder / name
        if self.stat(name) is None:
            return None
        with _explained(path, "read"):
            try:
                return read_regular(path)
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                # Another machine has replaced the file on a network file system.
                return read_regular(path)

    def stat(self, name: str) -> StoredFile | None:
        """Return the size and the age of a file; None if there is no regular file."""
        path = self.folder / name
        with _explained(path, "read"):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _stored(name, status) if stat.S_ISREG(status.st_mode) else None

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one of its name; return whether it was written."""
        path = self.folder / name
        with _explained(path, "written"), _written(path, data) as unfinished:
            try:
                path.hardlink_to(unfinished)
            except FileExistsError:
                return False
            except OSError:  # this file system has no hard links
                unfinished.replace(path)
        return True

    def write(self, name: str, data: bytes) -> None:
        """Write a file, in place of the one of that name."""
        path = self.folder / name
        with _explained(path, "written"), _written(path, data) as unfinished:
            unfinished.replace(path)

    def remove(self, name: str) -> None:
        """Delete a file; do nothing if it does not exist."""
        path = self.folder / name
        with _explained(path, "deleted"):
            path.unlink(missing_ok=True)

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file of the folder and of the folders of blobs, and every other entry."""
        for path in _entries(self.folder):
            if path.is_dir() and len(path.name) == PREFIX_LENGTH:
                for inner in _entries(path):
                    yield from _found(f"{path.name}/{inner.name}", inner)
            else:
                yield from _found(path.name, path)

    def validators(self) -> Iterator[tuple[str, str]]:
        """Yield nothing: whoever may write a file may also set its times."""
        yield from ()

    def is_empty(self) -> bool:
        """Return whether the folder does not exist, or has no entry."""
        return not _entries(self.folder)


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """Give a temporary file with the data beside a path, and delete it at the end."""
    unfinished = path.with_name(f"{UNFINISHED}{uuid4().hex}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Unlike those of tempfile, this file has the mode that the umask allows, so that a group
        # can share the folder.
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield unfinished
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with _explained(folder, "read"):
        return sorted(folder.iterdir())


def _found(name: str, path: Path) -> Iterator[StoredFile]:
    with suppress(FileNotFoundError):  # another process has removed it
        yield _stored(name, path.lstat())


def _stored(name: str, status: os.stat_result) -> StoredFile:
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return StoredFile(name, size, max(0.0, time.time() - status.st_mtime))


@contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except IsADirectoryError as error:
        shown = redacted(str(path))
        raise BankError(
            f"{shown} is a folder where a file of the blob store belongs: move it away"
        ) from error
    except OSError as error:
        shown = redacted(str(path))
        raise ResourceError(f"{shown} could not be {verb}: {error.strerror}") from error
