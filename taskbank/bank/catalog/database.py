"""Connects to the database behind a bank's URL: a SQLite file or PostgreSQL.

This module connects, opens transactions and takes locks, and turns driver errors into taskbank's
errors without the password.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.url import parse_url
from taskbank.digests import canonical_json
from taskbank.errors import (
    BankError,
    DamagedError,
    InputError,
    MissingExtraError,
)

WAIT_FOR_LOCK = 120.0  # seconds a SQLite writer waits for another before it gives up
GC_LOCK = 0x7461736B62616E6B  # PostgreSQL advisory lock: writers share it, gc holds it alone
SEE = "run taskbank verify-all --level integrity to see where"


def connect(url: str) -> Engine:
    """Return an engine for a bank's URL; nothing is connected yet.

    Raises:
        InputError: if the URL is not one of a bank.
        MissingExtraError: if the database's driver is not installed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed, json_serializer=canonical_json, connect_args={"timeout": WAIT_FOR_LOCK}
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(
            parsed,
            json_serializer=canonical_json,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
        )
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"bank URL {parsed.render_as_string()!r} needs the driver psycopg: "
            "install it with pip install 'taskbank[postgresql]'"
        ) from None


def sqlite_path(engine: Engine) -> Path | None:
    """Return the file of a SQLite bank, none for a server."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def prepare_sqlite(engine: Engine) -> None:
    """Make the file of a new bank, in the mode that lets many read while one writes.

    Raises:
        InputError: if the folder is not there or cannot be written to.
    """
    path = sqlite_path(engine)
    if path is None:
        return
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder: make it first, or give another bank URL")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"the folder {path.parent} cannot be written to: give another bank URL")
    with translated(engine), closing(engine.raw_connection()) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # kept in the file from now on


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    """Give an engine for a bank's URL, every connection closed at the end.

    Raises:
        InputError: if the URL is not one of a bank.
    """
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling is switched off: it begins too late to make
    # DDL and reads part of a transaction. _begin_sqlite begins every one itself.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read lock later can fail without waiting.
    write = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state of the bank throughout."""
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with translated(engine), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def writing(engine: Engine, *, alone: bool = False) -> Iterator[Connection]:
    """Open a transaction that is committed at the end, or leaves no trace.

    Args:
        engine: the bank's engine.
        alone: keep every other writer out, as garbage collection must.
    """
    with (
        translated(engine),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
            connection.execute(text(f"SELECT {lock}(:key)"), {"key": GC_LOCK})
        yield connection


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn what a database driver raises into taskbank's errors.

    Raises:
        DamagedError: if the database says that its file is malformed.
        InputError: if the server cannot be reached or refuses.
        BankError: for anything else that the database could not do.
    """
    name = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedError(
            f"the bank {name} holds a value that cannot be read ({error}): {SEE}"
        ) from None
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        if engine.url.password:
            reason = reason.replace(str(engine.url.password), "***")
        if "malformed" in reason or "not a database" in reason:
            raise DamagedError(
                f"the bank {name} is damaged ({reason}): restore it from a copy"
            ) from None
        if "Could not decode" in reason:
            raise DamagedError(
                f"the bank {name} holds a value that cannot be read ({reason}): {SEE}"
            ) from None
        if error.connection_invalidated or _never_connected(engine, error):
            raise InputError(
                f"the bank {name} cannot be reached: {reason}; "
                "check that the server runs and that the URL is right"
            ) from None
        raise BankError(f"the bank {name} could not do that: {reason}") from error


def _never_connected(engine: Engine, error: DBAPIError) -> bool:
    return engine.dialect.name == "postgresql" and error.statement is None
