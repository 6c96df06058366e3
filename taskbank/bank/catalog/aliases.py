"""Aliases: movable names for versions, with their history."""

from __future__ import annotations

from sqlalchemy import Connection, select

from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.retirement import is_retired
from taskbank.bank.catalog.rows import insert_row
from taskbank.bank.catalog.tables import AliasRow, TaskRow
from taskbank.bank.catalog.task_lock import lock_task
from taskbank.bank.records import AliasRecord
from taskbank.checks import check_alias
from taskbank.errors import ConflictError, NotFoundError
from taskbank.runtime.clock import now

LIST_VERSIONS = "run taskbank query 'task = \"{}\"' to list its versions"


def set_alias(connection: Connection, task: str, alias: str, version: int | None) -> None:
    """Point an alias at a version, or drop it if the version is None; its history is kept.

    Raises:
        InputError: if the alias is not a valid name.
        ConflictError: if the version is retired.
    """
    check_alias(alias)
    task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == task)).scalar_one()
    lock_task(connection, task_id)
    if version is not None and is_retired(connection, task_id, version):
        raise ConflictError(
            f"{task}@{version} is retired: choose a version in use; {LIST_VERSIONS.format(task)}"
        )
    values = {"task_id": task_id, "name": alias, "version": version, "set_at": now()}
    insert_row(connection, AliasRow, values)


def read_aliases(connection: Connection, task: str) -> tuple[AliasRecord, ...]:
    """Return the history of a task's aliases, oldest change first.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    query = (
        select(AliasRow.__table__)
        .join(TaskRow, TaskRow.id == AliasRow.task_id)
        .where(TaskRow.name == task)
        .order_by(AliasRow.id)
    )
    return tuple(
        AliasRecord(task, row["name"], row["version"], row["set_at"])
        for row in checked_rows(connection, AliasRow, query)
    )


def resolve_alias(connection: Connection, name: str, task_id: int, alias: str) -> int:
    """Return the version that an alias points at.

    Raises:
        NotFoundError: if the task has no such alias.
        DamagedError: if the alias's row differs from what was recorded.
    """
    query = (
        select(AliasRow.__table__)
        .where(AliasRow.task_id == task_id, AliasRow.name == alias)
        .order_by(AliasRow.id.desc())
        .limit(1)
    )
    latest = [row["version"] for row in checked_rows(connection, AliasRow, query)]
    if not latest or latest[0] is None:
        raise NotFoundError(f"task {name!r} has no alias {alias!r}: {LIST_VERSIONS.format(name)}")
    return int(latest[0])
