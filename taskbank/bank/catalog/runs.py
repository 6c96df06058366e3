"""Runs of verifications, and the predictions that they observed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, func, select

from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.rows import insert_row
from taskbank.bank.catalog.seals import row_damage
from taskbank.bank.catalog.tables import ObservationRow, RunRow, VerificationRow
from taskbank.bank.records import Observation, RunRecord
from taskbank.digests import Json
from taskbank.runtime.clock import now


def add_run(
    connection: Connection, level: str, tasks: Sequence[str], environment: Mapping[str, Json]
) -> int:
    """Record that a verification starts to predict; return the run's id."""
    values = {"level": level, "tasks": list(tasks), "environment": dict(environment)}
    return insert_row(connection, RunRow, values | {"started_at": now()})


def read_unfinished_runs(connection: Connection) -> tuple[RunRecord, ...]:
    """Return the runs whose verification has not finished, oldest first.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    finished = select(VerificationRow.run_id).where(VerificationRow.run_id.is_not(None))
    query = select(RunRow.__table__).where(RunRow.id.not_in(finished)).order_by(RunRow.id)
    counts = (
        select(ObservationRow.run_id, func.count(func.distinct(ObservationRow.adapter_id)))
        .where(ObservationRow.run_id.not_in(finished))
        .group_by(ObservationRow.run_id)
    )
    observed = {run: count for run, count in connection.execute(counts)}
    return tuple(
        RunRecord(
            row["id"],
            row["level"],
            tuple(row["tasks"]),
            row["environment"],
            row["started_at"],
            observed.get(row["id"], 0),
        )
        for row in checked_rows(connection, RunRow, query)
    )


def add_observation(
    connection: Connection, run: int, adapter: int, circumstances: str, observation: Observation
) -> None:
    """Record an observation; the blob of its predictions must already be stored.

    Args:
        connection: a write transaction.
        run: the run's id.
        adapter: the id of the adapter's row.
        circumstances: digest of everything that the predictions depend on.
        observation: the predictions for one split.
    """
    values = {
        "run_id": run,
        "adapter_id": adapter,
        "split": observation.split,
        "circumstances": circumstances,
        "noise": observation.noise,
        "digest": observation.predictions,
        "observed_at": now(),
    }
    insert_row(connection, ObservationRow, values)


def read_observations(
    connection: Connection, run: int, adapters: Iterable[int] | None = None
) -> dict[tuple[int, str], tuple[Observation, ...]]:
    """Return the observations of a run, by the adapter's row id and the circumstances.

    Damaged rows are skipped, so that their adapters are predicted again.

    Args:
        connection: the transaction to read in.
        run: the run's id.
        adapters: the ids of the rows of some adapters; None means all.
    """
    query = select(ObservationRow.__table__).where(ObservationRow.run_id == run)
    if adapters is not None:
        query = query.where(ObservationRow.adapter_id.in_(list(adapters)))
    found: dict[tuple[int, str], dict[str, Observation]] = defaultdict(dict)
    for row in connection.execute(query.order_by(ObservationRow.id)).mappings():
        if row_damage(ObservationRow.__tablename__, row) is None:
            observation = Observation(row["split"], row["noise"], row["digest"])
            found[row["adapter_id"], row["circumstances"]][row["split"]] = observation
    return {key: tuple(splits.values()) for key, splits in found.items()}
