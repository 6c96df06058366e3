"""Connects to a bank's database: a SQLite file or PostgreSQL.

This module opens connections and transactions, takes locks, and translates driver errors into
taskbank's errors, with the password removed.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError

from taskbank.bank.catalog.chain import Changes, append_entries
from taskbank.bank.catalog.column_types import WrongTypeError
from taskbank.bank.catalog.sqlite_file import (
    begin_immediate,
    checkpoint,
    explain_sqlite,
    is_read_only,
    sqlite_engine,
    unchanged,
)
from taskbank.bank.url import BankUrl, parse_url
from taskbank.digests import canonical_json, digest_bytes
from taskbank.errors import (
    BankError,
    DamagedError,
    InputError,
    MissingExtraError,
    NotWritableError,
    ResourceError,
    UnreachableError,
)
from taskbank.redaction import HIDDEN
from taskbank.runtime.resources import lacking_by_words

# PostgreSQL: a read-only transaction or server, and a role that may not write.
READ_ONLY_STATES = ("25006", "42501")
GC_LOCK = 0x7461736B62616E6B  # PostgreSQL advisory lock: shared by writers, exclusive for gc
FIND_DAMAGE = "run taskbank verify-all --level integrity to locate it"


def connect(url: str | os.PathLike[str], *, only_read: bool = False) -> Engine:
    """Return an engine for a bank's URL without connecting yet.

    Args:
        url: the bank's URL.
        only_read: whether nothing may be written, not even what others left in SQLite's log.

    Raises:
        InputError: if the URL is not a bank's URL.
        MissingExtraError: if the database's driver is not installed.
    """
    bank = parse_url(url)
    if bank.file is not None:
        engine = sqlite_engine(bank, bank.file, only_read=only_read)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(
            bank.database,
            json_serializer=canonical_json,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
            execution_options={"bank": bank, "only_read": only_read}
            | ({"postgresql_readonly": True} if only_read else {}),
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


def home(connection: Connection) -> str:
    """Return where a bank's tables are, which differs from where a copy's are.

    For SQLite this is the file, for PostgreSQL the database with its oid and the server's own
    identifier, as a server has many names.
    """
    file = url_of(connection.engine).file
    if file is not None:
        return str(file)
    database = "SELECT datname, oid FROM pg_database WHERE datname = current_database()"
    name, oid = connection.execute(text(database)).one()
    allowed = "SELECT has_function_privilege('pg_control_system()', 'execute')"
    server = 0
    if connection.execute(text(allowed)).scalar():
        server = connection.execute(
            text("SELECT system_identifier FROM pg_control_system()")
        ).scalar_one()
    return f"PostgreSQL database {name} ({server}/{oid})"


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
        close(engine)


def close(engine: Engine) -> None:
    """Close all connections, after `settle`."""
    settle(engine)
    engine.dispose()


def settle(engine: Engine) -> None:
    """Bring everything recorded into a SQLite file itself, so that the file is the whole bank."""
    file = url_of(engine).file
    if file is not None:
        checkpoint(engine, file)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver's transaction handling is disabled because it begins transactions too late to
    # include DDL and reads. _begin_sqlite begins every transaction instead.
    connection.isolation_level = None
    # The trigger that lets a damaged blob be repaired calls it.
    connection.create_function("taskbank_digest", 1, _digest, deterministic=True)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _digest(data: object) -> str | None:
    return digest_bytes(data) if isinstance(data, bytes) else None


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock immediately: upgrading a read lock later can fail without waiting.
    if connection.get_execution_options().get("writes", False):
        begin_immediate(connection.connection.driver_connection)
    else:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that reads one consistent state of the bank.

    Raises:
        InputError: if a file that could only be read without locks was changed in the meantime.
    """
    file = url_of(engine).file
    options = {} if file is not None else {"isolation_level": "REPEATABLE READ"}
    with (
        unchanged(engine, file) if file is not None else nullcontext(),
        translate_errors(engine),
        engine.connect().execution_options(**options) as connection,
    ):
        yield connection


def content_mark(engine: Engine) -> tuple[object, int, int] | None:
    """Return a value that differs after every change of a SQLite file, for a fraction of a query.

    Returns:
        the value; None if nothing tells of changes, as on a server or where locks are not used.
    """
    if url_of(engine).file is None or engine.get_execution_options()["read_only"]:
        return None
    with translate_errors(engine), closing(engine.raw_connection()) as pooled:
        connection: Any = pooled.driver_connection
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        # The version tells of the changes of other connections, the total of this connection's own.
        return connection, version, connection.total_changes


@contextmanager
def write_transaction(
    engine: Engine, *, exclusive: bool = False, lasting: bool = True
) -> Iterator[Connection]:
    """Open a write transaction that commits at the end, or rolls back if an exception occurs.

    What it recorded becomes an entry of the chain.

    Args:
        engine: the bank's engine.
        exclusive: whether to exclude all other writers, as garbage collection must.
        lasting: whether to `settle` the records at once; later is enough for many small writes in
            a row, and no crash loses them either way.

    Raises:
        NotWritableError: if the bank is read-only, or another process keeps it locked.
    """
    check_writable(engine)
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
    if lasting:
        settle(engine)


def check_role(connection: Connection) -> None:
    """Raise if a PostgreSQL server is read-only, or its role may not record anything.

    Raises:
        NotWritableError: if nothing can be recorded.
    """
    if connection.dialect.name != "postgresql":
        return
    query = (
        "SELECT current_setting('transaction_read_only'), has_table_privilege('adapters', 'INSERT')"
    )
    read_only, may_insert = connection.execute(text(query)).one()
    if read_only == "on" or not may_insert:
        raise NotWritableError(
            f"the bank {url_of(connection.engine).shown} is read-only: "
            + ("the server takes no writes" if read_only == "on" else "the role may not insert")
        )


def check_writable(engine: Engine) -> None:
    """Raise if a bank is a file that cannot be written to, or was opened only to be read.

    Raises:
        NotWritableError: if the file or its folder is read-only, or the bank was opened so.
    """
    url = url_of(engine)
    if url.file is not None and is_read_only(url.file):
        raise NotWritableError(
            f"the bank {url.shown} is read-only: this user cannot write to the file or to its "
            f"folder {url.file.parent}; it can be listed, predicted from and verified"
        )
    if engine.get_execution_options()["only_read"]:
        raise NotWritableError(f"the bank {url.shown} was opened only to be read")


@contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """Translate the errors of a database driver into taskbank's errors.

    Raises:
        DamagedError: if the database reports a malformed file, or a value cannot be decoded.
        InputError: if a file cannot be opened, or if a given value is no text or number of the
            database.
        NotWritableError: if the bank is read-only, or another process keeps it locked.
        UnreachableError: if the server cannot be reached, or the connection was lost.
        ResourceError: if memory or disk space ran out, or the disk failed.
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
    except (UnicodeEncodeError, OverflowError, DataError) as error:
        reason = url.hide_secrets(str(getattr(error, "orig", error)).partition("\n")[0])
        raise InputError(f"the bank {name} cannot hold a given value ({reason})") from None
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        reason = url.hide_secrets(str(cause).strip().partition("\n")[0])
        if "malformed" in reason or "not a database" in reason:
            raise DamagedError(
                f"the bank {name} is damaged ({reason}): restore it from a copy"
            ) from None
        if "Could not decode" in reason:
            raise DamagedError(
                f"the bank {name} contains an unreadable value ({reason}): {FIND_DAMAGE}"
            ) from None
        lack = lacking_by_words(reason)
        if lack is not None:
            raise ResourceError(f"the bank {name} reported an error: {reason}; {lack}") from None
        if url.file is not None:
            explain_sqlite(cause, name, url.file)
        if getattr(cause, "sqlstate", None) in READ_ONLY_STATES:
            raise NotWritableError(
                f"the bank {name} is read-only for this user: {reason}"
            ) from None
        if isinstance(error, DBAPIError) and _connection_failed(engine, error):
            if "resolve host" in reason and engine.url.password:
                # Perhaps no host, but the end of a password that contains an unescaped `@`.
                host = str(engine.url.host)
                name, reason = name.replace(f"@{host}", f"@{HIDDEN}"), reason.replace(host, HIDDEN)
            raise UnreachableError(
                f"the bank {name} cannot be reached: {reason}; "
                "check that the server is running and that the URL is correct"
            ) from None
        raise BankError(f"the bank {name} reported an error: {reason}") from error


def _connection_failed(engine: Engine, error: DBAPIError) -> bool:
    lost = error.connection_invalidated
    return lost or (engine.dialect.name == "postgresql" and error.statement is None)
