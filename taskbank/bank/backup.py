"""Backs a bank up into one new SQLite file while other processes use it, and restores it.

A SQLite file with its blobs in it is copied page by page, whatever its schema: the copy is the same
bank, with the same head. From any other bank, everything is copied into a new bank in the file; its
chain names the bank and the head that it was copied from. A backup is restored by such a copy, too.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskbank.bank.bank import Bank
from taskbank.bank.blobs.url import IN_CATALOG
from taskbank.bank.catalog.database import open_engine, translate_errors, url_of
from taskbank.bank.catalog.revision import existing_revision
from taskbank.bank.catalog.sqlite_file import LOG, SHARED_INDEX, beside
from taskbank.bank.catalog.tables import SCHEMA_REVISION
from taskbank.bank.open import create_bank
from taskbank.bank.records import Copied
from taskbank.errors import ConflictError, DamagedError
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
        blobs: the location of the weights and splits: `catalog` if they are in the copy; for a bank
            of an older schema, perhaps a folder or URL that both banks refer to.
    """

    file: Path
    bytes: int
    adapters: int
    blobs: str


def back_up(
    url: str | os.PathLike[str], target: str | os.PathLike[str], *, progress: bool = False
) -> Backup:
    """Copy one consistent state of a bank into a new file, completely or not at all.

    Args:
        url: the bank's URL; the schema of a SQLite bank may be older or newer than this code's.
        target: the new file.
        progress: whether to show a progress bar if the error stream is a terminal.

    Raises:
        NotFoundError: if there is no bank at the URL.
        ConflictError: if the target exists.
        InputError: if the target cannot be written.
        SchemaError: if a PostgreSQL bank has another schema.
        DamagedError: if the bank or the copy is malformed, or a blob is damaged or missing.
    """
    target = Path(target)
    with open_engine(url) as engine:
        file, revision = url_of(engine).file, existing_revision(engine)
        _check_free(target)
        unfinished = unfinished_place(target.absolute())
        try:
            _create(unfinished, target)
            if file is not None and (revision != SCHEMA_REVISION or _holds_blobs(url)):
                with translate_errors(engine), closing(engine.raw_connection()) as source:
                    adapters, blobs = _copy(source, unfinished)
                shutil.copymode(file, unfinished)
            else:
                adapters, blobs = _copy_all(url, unfinished, progress=progress), IN_CATALOG
            _publish(unfinished, target)
        finally:
            for ending in ("", LOG, SHARED_INDEX):
                beside(unfinished, ending).unlink(missing_ok=True)
    return Backup(target, target.stat().st_size, adapters, redacted(blobs))


def restore(
    file: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    blobs: str | None = None,
    progress: bool = False,
) -> Copied:
    """Bring everything of a backup into an empty bank; an interrupted call is completed by another.

    Args:
        file: the backup.
        to: the bank's URL; the bank is created if there is none.
        blobs: where a new bank stores its blobs, as for `create_bank`.
        progress: whether to show a progress bar if the error stream is a terminal.

    Raises:
        NotFoundError: if there is no backup.
        ConflictError: if the bank holds versions that are not from this backup, or stores its blobs
            elsewhere.
        SchemaError: if the backup or the bank has another schema.
    """
    with Bank(file, only_read=True) as backup, create_bank(to, blobs) as bank:
        bank.check_copy_of(backup)
        return backup.copy_to(bank, progress=progress)


def _holds_blobs(url: str | os.PathLike[str]) -> bool:
    with Bank(url, only_read=True) as bank:
        return bank.blobs_url == IN_CATALOG


def _copy_all(url: str | os.PathLike[str], target: Path, *, progress: bool) -> int:
    """Copy everything into a new bank in an empty file; return the number of adapters."""
    with Bank(url, only_read=True) as bank, create_bank(target) as copy:
        copied = bank.copy_to(copy, progress=progress)
    for name, reason in copied.damaged.items():
        more = f", and {len(copied.damaged) - 1} more" if len(copied.damaged) > 1 else ""
        raise DamagedError(f"{name} cannot be backed up{more}: {reason}")
    return copied.copied["versions"]


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
