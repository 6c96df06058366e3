"""Files that appear whole or not at all, whatever happens while they are written.

A file is written beside its place under a name that ends in `.unfinished`, forced to the disk, and
renamed. A process that was killed may leave such a file; the next file that is written to the same
place removes it once nobody can still be writing it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from shutil import rmtree
from typing import BinaryIO
from uuid import uuid4

from taskbank.errors import InputError, ResourceError, TaskbankError
from taskbank.runtime.resources import lacking

UNFINISHED = ".unfinished"
ABANDONED_AFTER = 3600  # seconds after which an unfinished file counts as abandoned


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, or leave what was there.

    Args:
        path: the file; a device or a pipe, such as /dev/stdout, is written to as it is.
        data: its content.

    Raises:
        ResourceError: if the disk is full or failed.
        InputError: if the file cannot be written for another reason.
    """
    try:
        with unfinished_file(path) as file:
            file.write(data)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> TaskbankError:
    """Return the error to raise for a file or folder that could not be written.

    Args:
        path: the file or folder.
        error: why it could not be written.
    """
    lacks = lacking(error) is not None
    return (ResourceError if lacks else InputError)(
        f"{path} could not be written: {error.strerror}"
    )


@contextmanager
def unfinished_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its place when the block ends, and is removed if the block fails.

    Args:
        path: the place.

    Raises:
        OSError: if the file cannot be written.
    """
    if is_special(path):
        with path.open("wb") as special:
            yield special
        return
    path = path.resolve()  # a link remains a link
    unfinished = unfinished_place(path)
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            unfinished.chmod(stat.S_IMODE(path.stat().st_mode))
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder with all its files, or nothing.

    Args:
        path: the folder; it may exist if it is empty, and then gets the files one by one.
        files: the content of each file, by its path in the folder, in the order of writing.

    Raises:
        OSError: if a file cannot be written.
    """
    if path.exists():
        try:
            _write_files(path, files)
        except BaseException:
            for name in files:  # the folder was empty
                first = path / Path(name).parts[0]
                if first.is_dir():
                    rmtree(first, ignore_errors=True)
                else:
                    first.unlink(missing_ok=True)
            raise
        return
    unfinished = unfinished_place(path)
    try:
        unfinished.mkdir()
        _write_files(unfinished, files)
        unfinished.rename(path)
    finally:
        rmtree(unfinished, ignore_errors=True)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_file(place) as file:
            file.write(data)


def is_special(path: Path) -> bool:
    """Return whether there is something at a path other than a file, such as a device or a pipe."""
    return path.exists() and not path.is_file()


def unfinished_files(path: Path) -> list[Path]:
    """Return the files that somebody is writing, or has stopped writing, to take a place."""
    return list(path.parent.glob(f".{escape(path.name)}.*{UNFINISHED}"))


def unfinished_place(path: Path) -> Path:
    """Return where to write what will take a place; what was abandoned there is removed."""
    for file in unfinished_files(path):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER:
                rmtree(file) if file.is_dir() else file.unlink()
    return path.with_name(f".{path.name}.{uuid4().hex}{UNFINISHED}")
