"""The triggers that keep the tables append-only."""

from __future__ import annotations

from sqlalchemy import Connection, text

from taskbank.bank.catalog.tables import (
    Base,
)


def missing_triggers(connection: Connection) -> list[str]:
    """Return the names of the append-only triggers that are missing or disabled."""
    if connection.dialect.name == "sqlite":
        found = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        found = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
    present = set(connection.execute(text(found)).scalars())
    return sorted(trigger_names(connection.dialect.name) - present)


def trigger_names(dialect: str) -> set[str]:
    """Return the names of all triggers that keep a bank append-only.

    Args:
        dialect: `sqlite` or `postgresql`.
    """
    kinds = ("update", "delete", "replace" if dialect == "sqlite" else "truncate")
    tables = set(Base.metadata.tables) - {"gc_permits"}
    names = {f"{table}_no_{kind}" for table in tables for kind in kinds}
    return names | {"gc_permits_only_retired", "gc_permits_no_update"}
