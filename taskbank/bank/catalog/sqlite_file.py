"""The file of a SQLite bank: how it is opened, and how its write-ahead log gets back into it.

Writers append to a log beside the file (`bank.db-wal`), so that they do not block readers. After
each write the log is copied into the file, which is then the whole bank. A bank that cannot be
written to is opened without a log, since opening one takes a write.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, NullPool, QueuePool, create_engine
from sqlalchemy.exc import DBAPIError

from taskbank.bank.catalog.column_types import read_json
from taskbank.bank.catalog.lock_holders import lock_holders
from taskbank.bank.url import BankUrl
from taskbank.digests import canonical_json
from taskbank.errors import InputError, NotWritableError, TaskbankError

LOCK_TIMEOUT = "TASKBANK_LOCK_TIMEOUT"  # environment variable
DEFAULT_LOCK_TIMEOUT = 30.0  # seconds that a writer waits for another writer
CHECKPOINT_TIMEOUT = 0.2  # seconds that a checkpoint waits for readers of an earlier state
INTERRUPTIBLE = 0.5  # seconds of waiting after which Ctrl-C takes effect
LOG, SHARED_INDEX = "-wal", "-shm"
_IN_LOG_MODE = b"\x02"  # the file format's byte for the mode


def sqlite_engine(bank: BankUrl, file: Path, *, only_read: bool = False) -> Engine:
    """Return an engine for a SQLite bank without connecting yet; read-only if it has to be.

    Args:
        bank: the bank's URL.
        file: its file.
        only_read: whether to leave the file as it is, down to the byte, while others may write.

    Raises:
        InputError: if the environment sets an impossible time to wait for locks.
    """
    timeout = lock_timeout()
    read_only = is_read_only(file)

    def open_file() -> sqlite3.Connection:
        mode = _read_only_mode(file) if read_only else "mode=ro" if only_read else None
        name = f"file:{quote(os.fsencode(file))}?{mode}" if mode else file
        connection = sqlite3.connect(name, timeout, uri=bool(mode), check_same_thread=False)
        if read_only and "vfs" in str(name):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps the log's index in memory
        return connection

    return create_engine(
        bank.database,
        creator=open_file,
        # How to read a file without locks is decided anew each time, as a writer may come.
        poolclass=NullPool if read_only else QueuePool,
        json_serializer=canonical_json,
        json_deserializer=read_json,
        execution_options={
            "bank": bank,
            "read_only": read_only,
            "only_read": only_read or read_only,
        },
    )


def lock_timeout() -> float:
    """Return how many seconds to wait for the lock of another process.

    Raises:
        InputError: if the environment variable is not a number of seconds.
    """
    text = os.environ.get(LOCK_TIMEOUT) or str(DEFAULT_LOCK_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 1_000_000:
        raise InputError(f"{LOCK_TIMEOUT} is {text!r}: it must be a number of seconds, 0 or more")
    return seconds


def begin_immediate(connection: Any) -> None:
    """Begin a transaction with the write lock, waiting for it; Ctrl-C ends the wait.

    Args:
        connection: the driver's connection.

    Raises:
        sqlite3.OperationalError: if another process keeps the lock for too long.
    """
    deadline = time.monotonic() + lock_timeout()
    with _waiting(connection, INTERRUPTIBLE):
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
                if not busy or time.monotonic() >= deadline:
                    raise


def is_read_only(file: Path) -> bool:
    """Return whether a bank's file exists and cannot be written to, or no file beside it."""
    return os.path.exists(file) and not (  # noqa: PTH110 (Path raises where nothing may be read)
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    )


def beside(file: Path, ending: str) -> Path:
    """Return a file that SQLite keeps beside a bank's file."""
    return file.with_name(file.name + ending)


def checkpoint(engine: Engine, file: Path) -> None:
    """Copy the write-ahead log into the file and empty it, as far as readers allow.

    A reader of an earlier state keeps later records in the log; whoever closes the bank or writes
    to it next tries again.
    """
    if engine.get_execution_options()["only_read"] or not _has_content(beside(file, LOG)):
        return
    try:
        with (
            closing(engine.raw_connection()) as connection,
            _waiting(connection, CHECKPOINT_TIMEOUT),
        ):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except (sqlite3.Error, DBAPIError) as error:  # what was committed is safe in the log
        warnings.warn(
            f"the newest records are in {beside(file, LOG)} and not yet in {file} ({error}): copy "
            "the bank with taskbank backup only",
            stacklevel=2,
        )


@contextmanager
def unchanged(engine: Engine, file: Path) -> Iterator[None]:
    """Raise at the end if a file that is read without locks was changed in the meantime.

    Raises:
        InputError: if another process wrote to the file.
    """
    before = _state(file)
    if not engine.get_execution_options()["read_only"] or beside(file, SHARED_INDEX).exists():
        yield
        return
    changed = InputError(
        f"{file} was changed by another process while it was read without locks, since this user "
        "cannot write to it or its folder: run the command again"
    )
    try:
        yield
    except TaskbankError:
        if _state(file) != before:
            raise changed from None
        raise
    if _state(file) != before:
        raise changed


def explain_sqlite(error: object, name: str, file: Path) -> None:
    """Raise if SQLite's error is about the access to a file; otherwise return.

    Args:
        error: the driver's error.
        name: the bank's name, for the message.
        file: the bank's file.

    Raises:
        NotWritableError: if the file is read-only, or another process keeps it locked.
        InputError: if the file, or one that belongs to it, cannot be opened.
    """
    code = str(getattr(error, "sqlite_errorname", ""))
    if code.startswith(("SQLITE_BUSY", "SQLITE_PROTOCOL")):
        holders = lock_holders((beside(file, SHARED_INDEX), file))
        raise NotWritableError(
            f"the bank {name} is locked by another process"
            + (f" ({'; '.join(holders)})" if holders else "")
            + f", also after {lock_timeout():g} seconds: run the command again when that one has "
            f"finished, or set {LOCK_TIMEOUT} to wait longer"
        ) from None
    if code.startswith("SQLITE_READONLY"):
        raise NotWritableError(
            f"the bank {name} is read-only: this user cannot write to {file}, or to the files "
            f"{LOG} and {SHARED_INDEX} beside it"
        ) from None
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM")):
        raise InputError(
            f"the bank {name} cannot be opened ({error}): check that this user can read {file}, "
            f"and {file.name}{LOG} and {file.name}{SHARED_INDEX} beside it if they exist"
        ) from None


@contextmanager
def _waiting(connection: Any, seconds: float) -> Iterator[None]:
    """Wait for locks for some seconds only."""
    (before,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")


def _read_only_mode(file: Path) -> str:
    with file.open("rb") as opened:
        in_log_mode = opened.read(20)[18:19] == _IN_LOG_MODE
    log = beside(file, LOG)
    if not in_log_mode or (log.exists() and beside(file, SHARED_INDEX).exists()):
        return "mode=ro"  # with the locks of whoever else uses the bank
    if _has_content(log):
        return "mode=ro&vfs=unix-none"  # left by a process that was killed, or copied
    return "immutable=1"


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _state(file: Path) -> tuple[int, int, bool] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, _has_content(beside(file, LOG))
