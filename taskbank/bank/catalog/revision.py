"""The schema revision of a bank, and whether this code can read it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from taskbank.bank.catalog.database import reading, sqlite_path
from taskbank.bank.catalog.tables import SCHEMA_REVISION, SCHEMA_REVISIONS
from taskbank.errors import (
    InputError,
    NotFoundError,
    SchemaError,
)

SQLITE_HEADER = b"SQLite format 3\x00"


def revision_of(engine: Engine) -> str | None:
    """Return the schema revision of the bank behind an engine; none if there is no bank yet.

    Raises:
        NotFoundError: if there is no SQLite file.
        InputError: if the file or the database is not a bank, or cannot be reached.
    """
    name = engine.url.render_as_string(hide_password=True)
    path = sqlite_path(engine)
    if path is not None:
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            return None
        _check_sqlite_file(path)
    with reading(engine) as connection:
        tables = set(inspect(connection).get_table_names())
        if tables <= {"alembic_version"}:
            return None
        if not {"alembic_version", "bank", "adapters", "blobs"} <= tables:
            raise InputError(
                f"{name} holds other tables ({', '.join(sorted(tables)[:5])}), not a bank: "
                "give a database of its own to the bank"
            )
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(revision)


def check_revision(engine: Engine) -> None:
    """Raise unless the bank is there and of the schema that this code knows.

    Raises:
        NotFoundError: if there is no bank.
        SchemaError: if the bank is older or newer.
    """
    name = engine.url.render_as_string(hide_password=True)
    revision = revision_of(engine)
    if revision is None:
        raise NotFoundError(
            f"there is no bank at {name}: make one with taskbank init --backbone SPEC, "
            "or name another with --bank URL"
        )
    if revision == SCHEMA_REVISION:
        return
    if revision in SCHEMA_REVISIONS:
        raise SchemaError(
            f"the bank {name} has schema {revision}, this taskbank reads {SCHEMA_REVISION}: "
            "copy the bank, then run taskbank db upgrade"
        )
    raise SchemaError(
        f"the bank {name} has schema {revision!r}, which this taskbank (schema "
        f"{SCHEMA_REVISION}) does not know: it was written by a newer taskbank, so upgrade "
        "this one with pip install --upgrade taskbank"
    )


def _check_sqlite_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is not a file: a SQLite bank is one file")
    with path.open("rb") as file:
        header = file.read(100)
    if not header.startswith(SQLITE_HEADER) or len(header) < 100:
        raise InputError(
            f"{path} is not a bank: it is no SQLite file, or was cut off; "
            "name another with --bank URL or restore it from a copy"
        )
    page_size = int.from_bytes(header[16:18], "big")
    expected = (65536 if page_size == 1 else page_size) * int.from_bytes(header[28:32], "big")
    size = path.stat().st_size
    # While a write-ahead log exists, a checkpoint may be under way and the sizes may differ.
    log = path.with_name(path.name + "-wal")
    if size < expected and not log.exists():
        raise InputError(
            f"{path} was cut off: it has {size:,} of {expected:,} bytes; restore it from a copy"
        )
