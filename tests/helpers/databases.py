"""The databases that a bank can be in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, inspect

SERVER = "TASKBANK_TEST_POSTGRESQL"
DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.server))


def replayed(upgrade: Callable[..., None]) -> Callable[..., None]:
    """Return an `upgrade` that runs the migrations of new banks once per kind of database.

    For every further empty database it repeats the statements that the migrations ran, in a
    fraction of the time. A database that holds tables is always upgraded by the migrations.
    """
    recorded: dict[str, list[str]] = {}

    def run(connection: Connection, revision: str = "head") -> None:
        if revision != "head" or inspect(connection).get_table_names():
            upgrade(connection, revision)
            return
        dialect = connection.dialect.name
        if dialect in recorded:
            for statement in recorded[dialect]:
                connection.exec_driver_sql(statement)
            return
        statements: list[str] = []

        def record(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            statements.append(statement)

        event.listen(connection, "before_cursor_execute", record)
        try:
            upgrade(connection)
        finally:
            event.remove(connection, "before_cursor_execute", record)
        reads = ("SELECT", "PRAGMA")
        recorded[dialect] = [s for s in statements if not s.lstrip().upper().startswith(reads)]

    return run
