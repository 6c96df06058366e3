"""Retired adapters, and the rows and blobs that garbage collection may delete."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from taskbank.bank.catalog.chain import changes_of
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
    ScoredSplitRow,
    SplitRow,
    TaskRow,
    TrialRow,
)
from taskbank.bank.catalog.task_lock import lock_task
from taskbank.bank.records import AdapterRecord
from taskbank.errors import ConflictError
from taskbank.runtime.clock import now

# For adapters outer-joined with their retirement. The condition is on a column of the join, so
# that PostgreSQL can discard rows before it joins the rest.
IN_USE = RetirementRow.version.is_(None)


def retirement_of_adapter() -> ColumnElement[bool]:
    """Return the condition that joins a retirement to its adapter."""
    return and_(
        RetirementRow.task_id == AdapterRow.task_id, RetirementRow.version == AdapterRow.version
    )


def is_retired(connection: Connection, task_id: int, version: int) -> bool:
    """Return whether a version of a task is retired."""
    query = select(RetirementRow.id).where(
        RetirementRow.task_id == task_id, RetirementRow.version == version
    )
    return connection.execute(query).scalar() is not None


def retire(connection: Connection, record: AdapterRecord) -> None:
    """Retire an adapter.

    Raises:
        ConflictError: if the adapter is already retired, or an alias points at it.
    """
    task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == record.task)).scalar_one()
    lock_task(connection, task_id)
    if is_retired(connection, task_id, record.version):
        raise ConflictError(f"{record.ref} is already retired")
    latest = select(func.max(AliasRow.id)).where(AliasRow.task_id == task_id)
    alias_names = connection.execute(
        select(AliasRow.name)
        .where(AliasRow.id.in_(latest.group_by(AliasRow.name)))
        .where(AliasRow.version == record.version)
        .order_by(AliasRow.name)
    ).scalars()
    for alias in alias_names:
        raise ConflictError(
            f"the alias {alias!r} points at {record.ref}: move the alias first with "
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
    """Delete the rows of every retired adapter, and the splits that no adapter refers to."""
    changes = changes_of(connection)
    retired = select(AdapterRow.id).join(RetirementRow, retirement_of_adapter())
    ids = connection.execute(retired).scalars().all()
    scored: list[int] = []
    for adapter_id in ids:
        connection.execute(insert(GcPermitRow), {"adapter_id": adapter_id})
        for table, parent in CHILDREN.values():
            connection.execute(delete(table).where(getattr(table, parent) == adapter_id))
        further = delete(ScoredSplitRow).where(ScoredSplitRow.adapter_id == adapter_id)
        scored += connection.execute(further.returning(ScoredSplitRow.id)).scalars()
        connection.execute(delete(AdapterRow).where(AdapterRow.id == adapter_id))
    connection.execute(delete(GcPermitRow))
    in_use = select(PredictionRow.split_digest).union(select(ScoredSplitRow.split_digest))
    unused = delete(SplitRow).where(SplitRow.digest.not_in(in_use)).returning(SplitRow.id)
    changes.delete(AdapterRow.__tablename__, ids)
    changes.delete(ScoredSplitRow.__tablename__, scored)
    changes.delete(SplitRow.__tablename__, connection.execute(unused).scalars())


def digests_needed(connection: Connection) -> set[str]:
    """Return the digest of every blob that an adapter in use or a trial refers to."""
    adapters = select(AdapterRow.digest, AdapterRow.row_digests, AdapterRow.kept_rows)
    adapters = adapters.outerjoin(RetirementRow, retirement_of_adapter()).where(IN_USE)
    digests = {digest for row in connection.execute(adapters) for digest in row if digest}
    for row in (PredictionRow, ScoredSplitRow):
        joined = select(row.digest, row.split_digest).join(
            AdapterRow, AdapterRow.id == row.adapter_id
        )
        predictions = joined.outerjoin(RetirementRow, retirement_of_adapter()).where(IN_USE)
        for logits, split in connection.execute(predictions):
            digests |= {logits, split}
    for table in (ObservationRow, AcceptanceRow):
        query = select(table.digest).join(AdapterRow, AdapterRow.id == table.adapter_id)
        query = query.outerjoin(RetirementRow, retirement_of_adapter()).where(IN_USE)
        digests |= set(connection.execute(query).scalars())
    trials = select(TrialRow.digest).where(TrialRow.digest.is_not(None))
    return digests | {digest for digest in connection.execute(trials).scalars() if digest}


def digests_recorded(connection: Connection) -> set[str]:
    """Return the digest of every blob that any row of the bank names, also of retired adapters."""
    columns = (
        AdapterRow.digest,
        AdapterRow.row_digests,
        AdapterRow.kept_rows,
        PredictionRow.digest,
        SplitRow.digest,
        ScoredSplitRow.digest,
        ObservationRow.digest,
        AcceptanceRow.digest,
        TrialRow.digest,
        RetirementRow.digest,
    )
    queries = (select(column).where(column.is_not(None)) for column in columns)
    return {str(digest) for query in queries for digest in connection.execute(query).scalars()}
