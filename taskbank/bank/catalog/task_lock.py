"""Lets the writers of one task wait for each other."""

from __future__ import annotations

from sqlalchemy import Connection, text

TASKS = 0x7461736B  # the first half of the keys of these PostgreSQL advisory locks


def lock_task(connection: Connection, task_id: int) -> None:
    """Wait for other transactions that change a task; SQLite has one writer anyway.

    This is not a lock on the task's row, which a role needs the right to update for.
    """
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:tasks, :task)")
        connection.execute(lock, {"tasks": TASKS, "task": task_id})
