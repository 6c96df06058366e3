"""Deletes records of byte checks that a newer check, or the end of their row, has outdated.

So there is one record a row, however often its store lists new words about the files. A record that
differs from its seal stays, since it is a finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, text

from taskbank.bank.catalog.chain import changes_of
from taskbank.bank.catalog.rows import chunks
from taskbank.bank.catalog.seals import row_damage
from taskbank.bank.catalog.stored_rows import PAGE
from taskbank.bank.catalog.tables import AcceptanceRow, AdapterRow, ByteCheckRow, ObservationRow

LOCK = 0x7461736B62797465  # PostgreSQL advisory lock of those who record byte checks


def begin_checks(connection: Connection) -> None:
    """Let other verifications that record checks wait until this transaction has ended.

    Each then sees the records of the ones before it, and none waits for a row of another.

    Args:
        connection: a write transaction.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def delete_superseded(connection: Connection, checked: Mapping[str, Collection[int]]) -> None:
    """Delete the records of rows that have a newer one, if the role of the connection may.

    Args:
        connection: the write transaction that has inserted the newer records.
        checked: the ids of the rows, by table.
    """
    if connection.dialect.name == "postgresql":
        may = text("SELECT has_table_privilege(:table, 'DELETE')")
        if not connection.execute(may, {"table": ByteCheckRow.__tablename__}).scalar():
            return  # a role for normal work; gc of the owner deletes them
    for table, ids in checked.items():
        for chunk in chunks(sorted(ids)):
            own = and_(ByteCheckRow.of_table == table, ByteCheckRow.row_id.in_(chunk))
            _delete(connection, own & _superseded(own))


def delete_outdated(connection: Connection) -> None:
    """Delete the records of rows that have a newer one, or that garbage collection has deleted.

    Args:
        connection: the transaction of garbage collection, which has deleted the rows.
    """
    adapters = select(AdapterRow.id)
    gone = [(ByteCheckRow.of_table == AdapterRow.__tablename__) & _of_none(adapters)]
    for table in (ObservationRow, AcceptanceRow):  # their blobs go with the adapter
        kept = select(table.id).join(AdapterRow, AdapterRow.id == table.adapter_id)
        gone.append((ByteCheckRow.of_table == table.__tablename__) & _of_none(kept))
    _delete(connection, or_(_superseded(), *gone))


def _superseded(own: ColumnElement[bool] | None = None) -> ColumnElement[bool]:
    newest = select(func.max(ByteCheckRow.id)).group_by(ByteCheckRow.of_table, ByteCheckRow.row_id)
    return ByteCheckRow.id.not_in(newest if own is None else newest.where(own))


def _of_none(rows: Any) -> ColumnElement[bool]:
    return ByteCheckRow.row_id.not_in(rows)


def _delete(connection: Connection, condition: ColumnElement[bool]) -> None:
    for chunk in chunks(list(_intact(connection, condition))):
        connection.execute(delete(ByteCheckRow).where(ByteCheckRow.id.in_(chunk)))
        changes_of(connection).delete(ByteCheckRow.__tablename__, chunk)


def _intact(connection: Connection, condition: ColumnElement[bool]) -> Iterator[int]:
    query = select(ByteCheckRow.__table__).where(condition).order_by(ByteCheckRow.id)
    with connection.execute(query.execution_options(yield_per=PAGE)) as found:
        for row in found.mappings():
            if row_damage(ByteCheckRow.__tablename__, row) is None:
                yield row["id"]
