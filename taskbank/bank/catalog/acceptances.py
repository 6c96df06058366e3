"""Accepted predictions and tolerances: users' decisions that affect later verifications."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.rows import chunks, insert_row
from taskbank.bank.catalog.stored_rows import sealed_rows, stored_damage
from taskbank.bank.catalog.tables import AcceptanceRow, AdapterRow, TaskRow, ToleranceRow
from taskbank.bank.records import AcceptanceRecord, Observation, ToleranceRecord
from taskbank.runtime.clock import now


def add_acceptances(
    connection: Connection,
    adapter: int,
    observations: Sequence[Observation],
    verification: int,
    reason: str,
) -> None:
    """Record the predictions of a verification as an adapter's reference predictions."""
    for observation in observations:
        values = {
            "adapter_id": adapter,
            "split": observation.split,
            "digest": observation.predictions,
            "verification_id": verification,
            "reason": reason,
            "accepted_at": now(),
        }
        insert_row(connection, AcceptanceRow, values)


def read_acceptances(connection: Connection, task: str) -> tuple[AcceptanceRecord, ...]:
    """Return a task's acceptances, oldest first; the splits of a version share one record.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    query = (
        select(AcceptanceRow.__table__, AdapterRow.version)
        .join(AdapterRow, AdapterRow.id == AcceptanceRow.adapter_id)
        .join(TaskRow, TaskRow.id == AdapterRow.task_id)
        .where(TaskRow.name == task)
        .order_by(AcceptanceRow.id)
    )
    found: dict[tuple[int, int, str], AcceptanceRecord] = {}
    for row in checked_rows(connection, AcceptanceRow, query):
        key = row["version"], row["verification_id"], row["reason"]
        found.setdefault(key, AcceptanceRecord(*key, row["accepted_at"]))
    return tuple(found.values())


def add_tolerance(connection: Connection, task: str, tolerance: float | None) -> None:
    """Record a task's tolerance; None restores the tolerance of each verification."""
    task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == task)).scalar_one()
    values = {"task_id": task_id, "tolerance": tolerance, "set_at": now()}
    insert_row(connection, ToleranceRow, values)


def read_tolerances(connection: Connection) -> dict[str, float]:
    """Return the tolerances that are set for tasks, by task."""
    latest = {}
    for stored in sealed_rows(connection, ToleranceRow):
        # A row that does not match its seal is ignored, so it cannot raise a tolerance.
        if stored_damage(ToleranceRow.__tablename__, stored) is None:
            latest[stored.values["task_id"]] = stored.values["tolerance"]
    names: dict[int, str] = {}
    for chunk in chunks(list(latest)):
        query = select(TaskRow.id, TaskRow.name).where(TaskRow.id.in_(chunk))
        names |= {row.id: row.name for row in connection.execute(query)}
    return {names[task]: value for task, value in latest.items() if value is not None}


def read_tolerance_history(connection: Connection, task: str) -> tuple[ToleranceRecord, ...]:
    """Return the history of a task's tolerance, oldest change first.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    query = (
        select(ToleranceRow.__table__)
        .join(TaskRow, TaskRow.id == ToleranceRow.task_id)
        .where(TaskRow.name == task)
        .order_by(ToleranceRow.id)
    )
    return tuple(
        ToleranceRecord(row["tolerance"], row["set_at"])
        for row in checked_rows(connection, ToleranceRow, query)
    )
