"""Reads the schema revision of a bank, and checks that this code can use it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import Engine, inspect, text

from taskbank.bank.catalog.database import read_transaction, url_of
from taskbank.bank.catalog.tables import SCHEMA_REVISION, SCHEMA_REVISIONS
from taskbank.errors import (
    InputError,
    NotFoundError,
    SchemaError,
    UnreachableError,
)

SQLITE_HEADER = b"SQLite format 3\x00"


def revision_of(engine: Engine) -> str | None:
    """Return the schema revision of an engine's bank; None if there is no bank yet.

    Raises:
        InputError: if the file or the database is not a bank, or cannot be reached; then the
            `UnreachableError` is its cause.
    """
    name = url_of(engine).shown
    path = url_of(engine).file
    if path is not None:
        try:
            if not _sqlite_file_exists(path):
                return None
        except OSError as error:
            raise InputError(f"{name} cannot be opened: {error.strerror}") from None
    try:
        return _stored_revision(engine)
    except UnreachableError as error:  # nothing has worked yet, so that the URL may be wrong
        raise InputError(str(error)) from error


def _stored_revision(engine: Engine) -> str | None:
    name = url_of(engine).shown
    with read_transaction(engine) as connection:
        tables = set(inspect(connection).get_table_names())
        if tables <= {"alembic_version"}:
            return None
        if not {"alembic_version", "bank", "adapters", "blobs"} <= tables:
            raise InputError(
                f"{name} is not a bank but has other tables ({', '.join(sorted(tables)[:5])}): "
                "use a separate database for the bank"
            )
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(revision)


def existing_revision(engine: Engine) -> str:
    """Return the schema revision of an engine's bank.

    Raises:
        NotFoundError: if there is no bank.
        InputError: if the file or the database is not a bank, or cannot be reached.
    """
    revision = revision_of(engine)
    if revision is None:
        raise NotFoundError(
            f"there is no bank at {url_of(engine).shown}: create one with taskbank init "
            "--backbone SPEC, or name another with --bank URL"
        )
    return revision


def check_revision(engine: Engine) -> None:
    """Raise unless the bank exists and has the schema of this code.

    Raises:
        NotFoundError: if there is no bank.
        SchemaError: if the bank's schema is older or newer.
    """
    name = url_of(engine).shown
    revision = existing_revision(engine)
    if revision == SCHEMA_REVISION:
        return
    if revision in SCHEMA_REVISIONS:
        copy = "taskbank backup FILE" if url_of(engine).file is not None else "pg_dump"
        raise SchemaError(
            f"the bank {name} has schema {revision}, but this taskbank needs {SCHEMA_REVISION}: "
            f"copy the bank with {copy}, then run taskbank db upgrade"
        )
    raise SchemaError(
        f"the bank {name} has schema {revision!r}, which this taskbank (schema "
        f"{SCHEMA_REVISION}) does not support: a newer taskbank wrote it, so upgrade "
        "this one with pip install --upgrade taskbank"
    )


def _sqlite_file_exists(path: Path) -> bool:
    """Return whether a file exists and has content, and raise unless it can be a bank."""
    if not path.exists():
        decoded = Path(unquote(str(path)))
        if decoded != path and decoded.exists():
            raise InputError(
                f"there is no file {path}, but there is {decoded}: write a bank's file without "
                "percent escapes, as it is called"
            )
        return False
    if not path.is_file():
        raise InputError(
            f"{path} is not a file, but a SQLite bank is a single file: name one with --bank URL"
        )
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        header = file.read(100)
    if not header.startswith(SQLITE_HEADER) or len(header) < 100:
        raise InputError(
            f"{path} is not a bank: it is not a SQLite file, or it is truncated; "
            "name another with --bank URL or restore it from a copy"
        )
    page_size = int.from_bytes(header[16:18], "big")
    expected = (65536 if page_size == 1 else page_size) * int.from_bytes(header[28:32], "big")
    size = path.stat().st_size
    # While a write-ahead log exists, a checkpoint may be under way and the sizes may differ.
    log = path.with_name(path.name + "-wal")
    if size < expected and not log.exists():
        raise InputError(
            f"{path} is truncated: it has {size:,} of {expected:,} bytes; restore it from a copy"
        )
    return True
