"""Finished verifications part by part, as fast however many adapters each of them checked.

The row of a verification is checked. Its results and findings are not: their seal covers all of
them, and there may be a hundred thousand.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import ColumnElement, Connection, case, func, select, tuple_

from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.tables import FindingRow, ResultRow, VerificationRow
from taskbank.bank.catalog.verifications import verification_record
from taskbank.bank.records import (
    FindingPage,
    FindingRecord,
    ResultPage,
    ResultRecord,
    VerificationRecord,
    VerificationSummary,
)
from taskbank.errors import NotFoundError

# What needs attention comes first.
ORDER = ("regressed", "unstable", "damaged", "unverifiable", "changed", "ok")


def read_newest_verifications(
    connection: Connection, *, before: int | None, limit: int
) -> tuple[VerificationSummary, ...]:
    """Return verifications, newest first.

    Args:
        connection: the transaction to read in.
        before: return only verifications with smaller numbers; None means the newest.
        limit: return at most this many.

    Raises:
        DamagedError: if the row of a verification differs from what was recorded.
    """
    query = select(VerificationRow.__table__).order_by(VerificationRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(VerificationRow.id < before)
    rows = checked_rows(connection, VerificationRow, query)
    counts = (
        select(FindingRow.verification_id, FindingRow.check, func.count(FindingRow.id))
        .where(FindingRow.verification_id.in_([row["id"] for row in rows]))
        .group_by(FindingRow.verification_id, FindingRow.check)
        .order_by(FindingRow.check)
    )
    findings: dict[int, dict[str, int]] = defaultdict(dict)
    for verification, check, count in connection.execute(counts):
        findings[verification][check] = count
    return tuple(
        VerificationSummary(
            row["id"],
            row["level"],
            row["ok"],
            row["checked"],
            row["vouched"],
            row["started_at"],
            row["finished_at"],
            findings[row["id"]],
        )
        for row in rows
    )


def read_verification(connection: Connection, number: int) -> VerificationRecord:
    """Return a verification.

    Raises:
        NotFoundError: if it does not exist.
        DamagedError: if its row differs from what was recorded.
    """
    query = select(VerificationRow.__table__).where(VerificationRow.id == number)
    for row in checked_rows(connection, VerificationRow, query):
        counts = (
            select(ResultRow.status, func.count(ResultRow.id))
            .where(ResultRow.verification_id == number)
            .group_by(ResultRow.status)
        )
        return verification_record(
            row, {status: count for status, count in connection.execute(counts)}
        )
    raise NotFoundError(f"the bank has no verification {number}: run taskbank history to list them")


def read_neighbours(
    connection: Connection, number: int, *, predicted: bool
) -> tuple[int | None, int | None, int | None]:
    """Return the numbers of the verifications around one.

    Args:
        connection: the transaction to read in.
        number: the verification's number; larger than all numbers for one that is not recorded.
        predicted: whether it predicted.

    Returns:
        the one before it, the one after it, and the newest one before it that predicted as well,
        or did not either, so that both have recorded the same of their environments.
    """
    same = VerificationRow.run_id.is_not(None) if predicted else VerificationRow.run_id.is_(None)
    earlier = VerificationRow.id < number
    last, first = func.max(VerificationRow.id), func.min(VerificationRow.id)
    return (
        connection.execute(select(last).where(earlier)).scalar(),
        connection.execute(select(first).where(VerificationRow.id > number)).scalar(),
        connection.execute(select(last).where(earlier, same)).scalar(),
    )


def read_result_page(
    connection: Connection, verification: int, *, status: str | None, after: int | None, limit: int
) -> ResultPage:
    """Return results of a verification, those that need attention first.

    Args:
        connection: the transaction to read in.
        verification: the verification's number.
        status: return only results with this status.
        after: where the page before ended, as its `next` says.
        limit: return at most this many.
    """
    rank = case({name: place for place, name in enumerate(ORDER)}, value=ResultRow.status, else_=0)
    conditions: list[ColumnElement[bool]] = [ResultRow.verification_id == verification]
    if status is not None:
        conditions.append(ResultRow.status == status)
    if after is not None:
        last = connection.execute(select(rank).where(ResultRow.id == after)).scalar()
        if last is None:
            return ResultPage((), None)
        conditions.append(tuple_(rank, ResultRow.id) > tuple_(last, after))
    query = (
        select(ResultRow.__table__, VerificationRow.level, VerificationRow.finished_at)
        .join(VerificationRow, VerificationRow.id == ResultRow.verification_id)
        .where(*conditions)
        .order_by(rank, ResultRow.id)
        .limit(limit + 1)
    )
    rows = connection.execute(query).mappings().all()
    names = set(ResultRecord.__dataclass_fields__) - {"verification"}
    results = tuple(
        ResultRecord(verification=verification, **{name: row[name] for name in names})
        for row in rows[:limit]
    )
    return ResultPage(results, rows[limit - 1]["id"] if len(rows) > limit else None)


def read_finding_page(connection: Connection, verification: int, limit: int) -> FindingPage:
    """Return the first findings of a verification.

    Args:
        connection: the transaction to read in.
        verification: the verification's number.
        limit: return at most this many.
    """
    own = FindingRow.verification_id == verification
    query = select(FindingRow.task, FindingRow.version, FindingRow.check, FindingRow.message)
    rows = connection.execute(query.where(own).order_by(FindingRow.id).limit(limit))
    count = connection.execute(select(func.count(FindingRow.id)).where(own)).scalar_one()
    return FindingPage(tuple(FindingRecord(*row) for row in rows), count)
