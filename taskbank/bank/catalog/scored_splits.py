"""Further splits of an adapter, scored after it was added.

They are verified like the adapter's own splits. Each is one sealed row with its metrics, as the
digests of an adapter's own rows cannot change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.catalog.retirement import is_retired
from taskbank.bank.catalog.rows import child_rows, insert_once, insert_row
from taskbank.bank.catalog.tables import AdapterRow, ScoredSplitRow, SplitRow, TaskRow
from taskbank.bank.catalog.task_lock import lock_task
from taskbank.bank.new_records import NewScoredSplit
from taskbank.bank.records import AdapterRecord, MetricRecord
from taskbank.digests import digest_bytes
from taskbank.errors import ConflictError
from taskbank.runtime.clock import now

NAME = ScoredSplitRow.__tablename__


def add_scored_split(connection: Connection, adapter: int, new: NewScoredSplit) -> None:
    """Record a further split of an adapter; the same transaction must store its blobs.

    Args:
        connection: the transaction to write in.
        adapter: the id of the adapter's row.
        new: the split with its metrics.
    """
    split = new.split
    digest = insert_split(connection, split.examples, split.rows)
    values = {
        "adapter_id": adapter,
        "split": split.name,
        "origin": split.origin,
        "split_digest": digest,
        "digest": digest_bytes(split.logits),
        "rows": split.rows,
        "canary": list(split.canary) or None,
        "metrics": {
            one.name: {
                "value": one.value,
                "standard_error": one.standard_error,
                "count": one.count,
            }
            for one in new.metrics
        },
        "scored_at": now(),
    }
    insert_row(connection, ScoredSplitRow, values)


def check_can_score(connection: Connection, record: AdapterRecord, split: str) -> None:
    """Raise unless a further split of an adapter can be recorded; wait for concurrent changes.

    Raises:
        ConflictError: if the adapter is retired or has such a split.
    """
    task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == record.task)).scalar_one()
    lock_task(connection, task_id)
    found = connection.execute(select(AdapterRow.id).where(AdapterRow.id == record.id)).scalar()
    if found is None or is_retired(connection, task_id, record.version):
        raise ConflictError(
            f"{record.ref} is retired, so no split can be recorded for it: leave out --record"
        )
    query = select(ScoredSplitRow.split).where(ScoredSplitRow.adapter_id == record.id)
    taken = {name.lower() for name in connection.execute(query).scalars()}
    if split.lower() in taken:  # names of files, which some systems compare without case
        raise ConflictError(
            f"{record.ref} already has a split {split!r}, and what is recorded never changes: "
            "choose another name for --record"
        )


def insert_split(connection: Connection, examples: bytes, rows: int) -> str:
    """Record an evaluation data set unless it is recorded; return its digest."""
    digest = digest_bytes(examples)
    values = {"digest": digest, "rows": rows, "bytes": len(examples), "created_at": now()}
    insert_once(connection, SplitRow, "digest", values)
    return digest


def scored_rows(
    connection: Connection, adapters: Sequence[int]
) -> Mapping[int, list[Mapping[str, Any]]]:
    """Return the rows of the further splits of some adapters, by the adapter's id."""
    return child_rows(connection, adapters, {NAME: (ScoredSplitRow, "adapter_id")})[NAME]


def scored_metrics(row: Mapping[str, Any]) -> tuple[MetricRecord, ...]:
    """Return the metrics of a further split's row."""
    return tuple(
        MetricRecord(row["split"], name, **measured) for name, measured in row["metrics"].items()
    )
