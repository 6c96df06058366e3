"""Aliases: movable names for versions, with their history."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.retirement import is_retired
from taskbank.bank.catalog.rows import chunks, insert_row
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


def read_current_aliases(connection: Connection, tasks: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the versions that aliases point at now, by task and then by alias.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    found: dict[str, dict[str, int]] = {}
    for chunk in chunks(tasks):
        latest = (
            select(func.max(AliasRow.id))
            .join(TaskRow, TaskRow.id == AliasRow.task_id)
            .where(TaskRow.name.in_(chunk))
            .group_by(AliasRow.task_id, AliasRow.name)
        )
        query = (
            select(AliasRow.__table__, TaskRow.name.label("task"))
            .join(TaskRow, TaskRow.id == AliasRow.task_id)
            .where(AliasRow.id.in_(latest))
            .order_by(AliasRow.name)
        )
        for row in checked_rows(connection, AliasRow, query):
            if row["version"] is not None:
                found.setdefault(row["task"], {})[row["name"]] = row["version"]
    return found


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
