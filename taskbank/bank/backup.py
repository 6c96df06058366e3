"""Copies a SQLite bank into a new file while other processes use it, whatever its schema."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskbank.bank.blobs.url import IN_CATALOG
from taskbank.bank.catalog.database import open_engine, translate_errors, url_of
from taskbank.bank.catalog.revision import existing_revision
from taskbank.bank.catalog.sqlite_file import LOG, beside
from taskbank.errors import ConflictError, DamagedError, InputError
from taskbank.redaction import redacted
from taskbank.runtime.files import unfinished_place, unwritable

PAGES = 4096  # number of pages to copy at a time


@dataclass(frozen=True)
class Backup:
    """A finished copy of a bank.

    Attributes:
        file: the new file.
        bytes: its size.
        adapters: number of adapters in it, retired ones included.
        blobs: the location of the weights and splits: `catalog` if they are in the copy, else a
            folder or URL that both banks refer to.
    """

    file: Path
    bytes: int
    adapters: int
    blobs: str


def back_up(url: str | os.PathLike[str], target: str | os.PathLike[str]) -> Backup:
    """Copy one consistent state of a SQLite bank into a new file, completely or not at all.

    Args:
        url: the bank's URL; its schema may be older or newer than this code's.
        target: the new file.

    Raises:
        NotFoundError: if there is no bank at the URL.
        ConflictError: if the target exists.
        InputError: if the bank is not a SQLite bank, or the target cannot be written.
        DamagedError: if the bank or the copy is malformed.
    """
    target = Path(target)
    with open_engine(url) as engine:
        file = url_of(engine).file
        if file is None:
            raise InputError(
                f"the bank {url_of(engine).shown} is in PostgreSQL: copy it with pg_dump"
            )
        existing_revision(engine)
        _check_free(target)
        unfinished = unfinished_place(target.absolute())
        try:
            _create(unfinished, target)
            with translate_errors(engine), closing(engine.raw_connection()) as source:
                adapters, blobs = _copy(source, unfinished)
            shutil.copymode(file, unfinished)
            _publish(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    return Backup(target, target.stat().st_size, adapters, redacted(blobs))


def _check_free(target: Path) -> None:
    for path in (target, beside(target, LOG)):  # SQLite would take an old log for the new file's
        if os.path.lexists(path):
            raise ConflictError(f"{path} exists: name a file that does not exist yet")


def _create(unfinished: Path, target: Path) -> None:
    try:
        unfinished.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise unwritable(target, error) from None


def _copy(source: Any, target: Path) -> tuple[int, str]:
    """Copy a database into an empty file; return the number of adapters and where blobs are."""
    with closing(sqlite3.connect(target)) as copy:
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM bank").fetchone()  # fixes the state that is copied
        source.backup(copy, pages=PAGES, progress=lambda *_: None)  # the call lets Ctrl-C in
        source.execute("ROLLBACK")
        (damage,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise DamagedError(f"the bank is damaged ({damage}): restore it from an earlier copy")
        (adapters,) = copy.execute("SELECT count(*) FROM adapters").fetchone()
        blobs = copy.execute("SELECT blobs FROM bank").fetchone()
    return adapters, str(blobs[0]) if blobs else IN_CATALOG


def _publish(file: Path, target: Path) -> None:
    """Give a finished file its name, unless another file has it by now."""
    try:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        _check_free(target)
        try:
            os.link(file, target)  # unlike a renaming, this never replaces a file
        except FileExistsError:
            _check_free(target)
        except OSError:  # the file system has no links
            file.rename(target)
    except OSError as error:
        raise unwritable(target, error) from None
