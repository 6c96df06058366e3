"""Finished verifications with their results and findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from taskbank.bank.catalog.checked_rows import check_verifications
from taskbank.bank.catalog.rows import as_stored, chunks, insert_children, insert_row
from taskbank.bank.catalog.runs import read_observations
from taskbank.bank.catalog.seals import contents
from taskbank.bank.catalog.tables import (
    VERIFICATION_CHILDREN,
    FindingRow,
    ResultRow,
    VerificationRow,
)
from taskbank.bank.new_records import NewVerification
from taskbank.bank.records import (
    AdapterRecord,
    Confirmation,
    FindingRecord,
    Observation,
    ResultRecord,
    ScoreRecord,
    VerificationRecord,
)
from taskbank.errors import NotFoundError


def add_verification(connection: Connection, new: NewVerification) -> int:
    """Record a finished verification with its results and findings; return its id."""
    children = {
        "results": [as_stored(ResultRow, vars(result)) for result in new.results],
        "findings": [dict(vars(finding)) for finding in new.findings],
    }
    values = {
        "level": new.level,
        "ok": new.ok,
        "checked": new.checked,
        "tolerance": new.tolerance,
        "environment": dict(new.environment),
        "started_at": new.started_at,
        "finished_at": new.finished_at,
        "run_id": new.run,
        "vouched": new.confirmed,
        "contents": {name: contents(rows, "verification_id") for name, rows in children.items()},
    }
    verification_id = insert_row(connection, VerificationRow, values)
    insert_children(connection, VerificationRow, {verification_id: children}, VERIFICATION_CHILDREN)
    return verification_id


def read_verifications(connection: Connection) -> tuple[VerificationRecord, ...]:
    """Return every verification, oldest first.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    query = select(VerificationRow.__table__).order_by(VerificationRow.id)
    rows = connection.execute(query).mappings().all()
    check_verifications(connection, (row["id"] for row in rows))
    counts = select(ResultRow.verification_id, ResultRow.status, func.count(ResultRow.id)).group_by(
        ResultRow.verification_id, ResultRow.status
    )
    statuses: dict[int, dict[str, int]] = defaultdict(dict)
    for verification, status, count in connection.execute(counts):
        statuses[verification][status] = count
    return tuple(verification_record(row, statuses[row["id"]]) for row in rows)


def verification_record(row: Mapping[Any, Any], statuses: Mapping[str, int]) -> VerificationRecord:
    """Return the record of a verification.

    Args:
        row: its row, by column.
        statuses: number of its results, by status.
    """
    return VerificationRecord(
        id=row["id"],
        level=row["level"],
        ok=row["ok"],
        checked=row["checked"],
        tolerance=row["tolerance"],
        environment=row["environment"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        run=row["run_id"],
        confirmed=row["vouched"],
        statuses=statuses,
    )


def read_results(
    connection: Connection, *, task: str | None = None, verification: int | None = None
) -> tuple[ResultRecord, ...]:
    """Return the results, optionally of one task or verification, oldest first.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    query = (
        select(ResultRow.__table__, VerificationRow.level, VerificationRow.finished_at)
        .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
        .order_by(ResultRow.id)
    )
    if task is not None:
        query = query.where(ResultRow.task == task)
    if verification is not None:
        query = query.where(ResultRow.verification_id == verification)
    names = set(ResultRecord.__dataclass_fields__) - {"verification"}
    rows = connection.execute(query).mappings().all()
    check_verifications(connection, (row["verification_id"] for row in rows))
    return tuple(
        ResultRecord(verification=row["verification_id"], **{name: row[name] for name in names})
        for row in rows
    )


def read_findings(connection: Connection, verification: int) -> tuple[FindingRecord, ...]:
    """Return the findings of a verification in their recorded order.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    check_verifications(connection, [verification])
    query = (
        select(FindingRow.task, FindingRow.version, FindingRow.check, FindingRow.message)
        .where(FindingRow.verification_id == verification)
        .order_by(FindingRow.id)
    )
    return tuple(FindingRecord(*row) for row in connection.execute(query))


def read_scores(
    connection: Connection, tasks: Sequence[str] | None = None
) -> tuple[ScoreRecord, ...]:
    """Return every score that a verification observed, oldest first.

    Args:
        connection: the transaction to read in.
        tasks: only those of these tasks, without a check of their verifications' seals, each of
            which covers the results of all tasks; None means all.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    query = (
        select(
            VerificationRow.finished_at,
            ResultRow.task,
            ResultRow.version,
            ResultRow.observed.label("score"),
            VerificationRow.id,
        )
        .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
        .where(ResultRow.observed.is_not(None))
        .order_by(ResultRow.id)
    )
    if tasks is None:
        rows = connection.execute(query).all()
        check_verifications(connection, (row[-1] for row in rows))
    else:
        rows = connection.execute(query.where(ResultRow.task.in_(tasks))).all()
    return tuple(
        ScoreRecord(at, task, version, score)
        for at, task, version, score, _ in rows
        if score is not None
    )


def read_confirmations(
    connection: Connection, circumstances: Sequence[str]
) -> dict[str, Confirmation]:
    """Return the newest result for each digest of circumstances if it is `ok` or `changed`.

    A later result of another status, such as `unstable`, takes the trust in an earlier one.
    """
    found: dict[str, Confirmation] = {}
    for chunk in chunks(circumstances):
        query = (
            select(
                ResultRow.circumstances,
                ResultRow.verification_id,
                ResultRow.status,
                ResultRow.recorded,
                ResultRow.observed,
            )
            .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
            .where(ResultRow.circumstances.in_(chunk))
            # Verifications that were copied from another bank have later numbers than older ones.
            .order_by(VerificationRow.finished_at, ResultRow.id)
        )
        for digest, verification, status, recorded, observed in connection.execute(query):
            if status in ("ok", "changed"):
                found[str(digest)] = Confirmation(
                    verification, status, float(recorded or 0.0), observed
                )
            else:
                found.pop(str(digest), None)
    return found


def read_observed(
    connection: Connection, verification: int, record: AdapterRecord
) -> tuple[Observation, ...]:
    """Return an adapter's observations in a verification; empty if it was not predicted.

    Raises:
        NotFoundError: if the verification does not exist.
    """
    query = select(VerificationRow.run_id).where(VerificationRow.id == verification)
    result = select(ResultRow.circumstances).where(
        ResultRow.verification_id == verification,
        ResultRow.task == record.task,
        ResultRow.version == record.version,
    )
    found = connection.execute(query).one_or_none()
    if found is None:
        raise NotFoundError(
            f"the bank has no verification {verification}: run taskbank history to list them"
        )
    circumstances = connection.execute(result).scalar()
    if found[0] is None or circumstances is None:
        return ()
    return read_observations(connection, found[0]).get((record.id, circumstances), ())
