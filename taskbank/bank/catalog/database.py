"""Connects to a bank's database: a SQLite file or PostgreSQL.

This module opens connections and transactions, takes locks, and translates driver errors into
taskbank's errors, with the password removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.catalog.chain import Changes, append_entries
from taskbank.bank.catalog.column_types import WrongTypeError, read_json
from taskbank.bank.url import BankUrl, parse_url
from taskbank.digests import canonical_json
from taskbank.errors import (
    BankError,
    DamagedError,
    InputError,
    MissingExtraError,
)

LOCK_TIMEOUT = 120.0  # seconds that a SQLite writer waits for another writer
GC_LOCK = 0x7461736B62616E6B  # PostgreSQL advisory lock: shared by writers, exclusive for gc
FIND_DAMAGE = "run taskbank verify-all --level integrity to locate it"


def connect(url: str | os.PathLike[str]) -> Engine:
    """Return an engine for a bank's URL without connecting yet.

    Raises:
        InputError: if the URL is not a bank's URL.
        MissingExtraError: if the database's driver is not installed.
    """
    bank = parse_url(url)
    if bank.file is not None:
        engine = create_engine(
            bank.database,
            json_serializer=canonical_json,
            json_deserializer=read_json,
            connect_args={"timeout": LOCK_TIMEOUT},
            execution_options={"bank": bank},
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(
            bank.database,
            json_serializer=canonical_json,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
            execution_options={"bank": bank},
        )
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"bank URL {bank.shown!r} needs the driver psycopg: "
            "install it with pip install 'taskbank[postgresql]'"
        ) from None


def url_of(engine: Engine) -> BankUrl:
    """Return the parsed URL of an engine's bank."""
    url: BankUrl = engine.get_execution_options()["bank"]
    return url


def check_sqlite_folder(engine: Engine) -> None:
    """Raise unless the file of a new SQLite bank can be created.

    Raises:
        InputError: if the folder does not exist or is not writable.
    """
    path = url_of(engine).file
    if path is None:
        return
    if not path.parent.is_dir():
        raise InputError(
            f"{path.parent} is not a folder: create it first, or give another bank URL"
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"the folder {path.parent} is not writable: give another bank URL")


def prepare_sqlite(engine: Engine) -> None:
    """Create the file of a new SQLite bank, in write-ahead mode so that writes do not block reads.

    Raises:
        InputError: if the folder does not exist or is not writable.
    """
    check_sqlite_folder(engine)
    if url_of(engine).file is not None:
        with translate_errors(engine), closing(engine.raw_connection()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # the file stores this mode


@contextmanager
def open_engine(url: str | os.PathLike[str]) -> Iterator[Engine]:
    """Open an engine for a bank's URL, and close all its connections at the end.

    Raises:
        InputError: if the URL is not a bank's URL.
    """
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver's transaction handling is disabled because it begins transactions too late to
    # include DDL and reads. _begin_sqlite begins every transaction instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock immediately: upgrading a read lock later can fail without waiting.
    write = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that reads one consistent state of the bank."""
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with translate_errors(engine), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def write_transaction(engine: Engine, *, exclusive: bool = False) -> Iterator[Connection]:
    """Open a write transaction that commits at the end, or rolls back if an exception occurs.

    What it recorded becomes an entry of the chain.

    Args:
        engine: the bank's engine.
        exclusive: whether to exclude all other writers, as garbage collection must.
    """
    changes = Changes()
    options: dict[str, Any] = {"writes": True, "changes": changes}
    if engine.dialect.name == "postgresql":
        # Whatever the server's default: a statement must see what was committed before it.
        options["isolation_level"] = "READ COMMITTED"
    with (
        translate_errors(engine),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            lock = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
            connection.execute(text(f"SELECT {lock}(:key)"), {"key": GC_LOCK})
        yield connection
        append_entries(connection, [changes] if changes else [])


@contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """Translate the errors of a database driver into taskbank's errors.

    Raises:
        DamagedError: if the database reports a malformed file, or a value cannot be decoded.
        InputError: if the server cannot be reached or refuses the connection.
        BankError: for any other database error.
    """
    url = url_of(engine)
    name = url.shown
    try:
        yield
    except (UnicodeDecodeError, json.JSONDecodeError, WrongTypeError) as error:
        raise DamagedError(
            f"the bank {name} contains an unreadable value ({error}): {FIND_DAMAGE}"
        ) from None
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        reason = url.hide_secrets(reason)
        if "malformed" in reason or "not a database" in reason:
            raise DamagedError(
                f"the bank {name} is damaged ({reason}): restore it from a copy"
            ) from None
        if "Could not decode" in reason:
            raise DamagedError(
                f"the bank {name} contains an unreadable value ({reason}): {FIND_DAMAGE}"
            ) from None
        if error.connection_invalidated or _connection_failed(engine, error):
            raise InputError(
                f"the bank {name} cannot be reached: {reason}; "
                "check that the server is running and that the URL is correct"
            ) from None
        raise BankError(f"the bank {name} reported an error: {reason}") from error


def _connection_failed(engine: Engine, error: DBAPIError) -> bool:
    return engine.dialect.name == "postgresql" and error.statement is None
