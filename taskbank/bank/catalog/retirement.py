"""Adapters out of use, and what garbage collection may delete."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from taskbank.bank.catalog.rows import insert_row
from taskbank.bank.catalog.tables import (
    CHILDREN,
    AcceptanceRow,
    AdapterRow,
    AliasRow,
    GcPermitRow,
    ObservationRow,
    PredictionRow,
    RetirementRow,
    SplitRow,
    TaskRow,
    TrialRow,
)
from taskbank.bank.records import AdapterRecord
from taskbank.errors import ConflictError
from taskbank.runtime.clock import now

# Over adapters outer-joined with their retirement. The condition is on a column of the join, so
# that PostgreSQL can discard rows before it joins the rest.
IN_USE = RetirementRow.version.is_(None)


def retires_adapter() -> ColumnElement[bool]:
    """Return the condition that a retirement is that of an adapter."""
    return and_(
        RetirementRow.task_id == AdapterRow.task_id, RetirementRow.version == AdapterRow.version
    )


def is_retired(connection: Connection, task_id: int, version: int) -> bool:
    """Return whether a version of a task is out of use."""
    query = select(RetirementRow.id).where(
        RetirementRow.task_id == task_id, RetirementRow.version == version
    )
    return connection.execute(query).scalar() is not None


def retire(connection: Connection, record: AdapterRecord) -> None:
    """Put an adapter out of use.

    Raises:
        ConflictError: if it is retired already, or an alias names it.
    """
    task_id = connection.execute(
        select(TaskRow.id).where(TaskRow.name == record.task).with_for_update()
    ).scalar_one()
    if is_retired(connection, task_id, record.version):
        raise ConflictError(f"{record.ref} is already retired")
    latest = select(func.max(AliasRow.id)).where(AliasRow.task_id == task_id)
    naming = connection.execute(
        select(AliasRow.name)
        .where(AliasRow.id.in_(latest.group_by(AliasRow.name)))
        .where(AliasRow.version == record.version)
        .order_by(AliasRow.name)
    ).scalars()
    for alias in naming:
        raise ConflictError(
            f"{record.ref} is what the alias {alias!r} names: move it first with "
            f"taskbank alias {record.task}@VERSION {alias}, or drop it with "
            f"taskbank alias {record.task} {alias} --drop"
        )
    values = {
        "task_id": task_id,
        "version": record.version,
        "digest": record.digest,
        "retired_at": now(),
    }
    insert_row(connection, RetirementRow, values)


def delete_retired(connection: Connection) -> None:
    """Delete the rows of every retired adapter, and splits that no adapter has any more."""
    ids = connection.execute(select(AdapterRow.id).join(RetirementRow, retires_adapter())).scalars()
    for adapter_id in ids.all():
        connection.execute(insert(GcPermitRow), {"adapter_id": adapter_id})
        for table, parent in CHILDREN.values():
            connection.execute(delete(table).where(getattr(table, parent) == adapter_id))
        connection.execute(delete(AdapterRow).where(AdapterRow.id == adapter_id))
    connection.execute(delete(GcPermitRow))
    in_use = select(PredictionRow.split_digest)
    connection.execute(delete(SplitRow).where(SplitRow.digest.not_in(in_use)))


def digests_in_use(connection: Connection, *, retired: bool = True) -> set[str]:
    """Return the digest of every blob that some row needs.

    Args:
        connection: the transaction to look in.
        retired: count the needs of retired adapters too.
    """
    adapters = select(AdapterRow.digest).select_from(AdapterRow)
    predictions = select(PredictionRow.digest, PredictionRow.split_digest).join(
        AdapterRow, AdapterRow.id == PredictionRow.adapter_id
    )
    if not retired:
        adapters = adapters.outerjoin(RetirementRow, retires_adapter()).where(IN_USE)
        predictions = predictions.outerjoin(RetirementRow, retires_adapter()).where(IN_USE)
    found = set(connection.execute(adapters).scalars())
    for logits, split in connection.execute(predictions):
        found |= {logits, split}
    for table in (ObservationRow, AcceptanceRow):
        seen = select(table.digest).join(AdapterRow, AdapterRow.id == table.adapter_id)
        if not retired:
            seen = seen.outerjoin(RetirementRow, retires_adapter()).where(IN_USE)
        found |= set(connection.execute(seen).scalars())
    kept = select(TrialRow.digest).where(TrialRow.digest.is_not(None))
    return found | {digest for digest in connection.execute(kept).scalars() if digest}
