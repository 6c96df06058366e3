"""Tells which tasks have changed since an entry of the chain, so that others can keep up cheaply.

A task has changed if a version was added, retired or destroyed, or if one of its aliases moved.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, select

from taskbank.bank.catalog.chain import read_head
from taskbank.bank.catalog.rows import chunks, table_of
from taskbank.bank.catalog.tables import (
    AdapterRow,
    AliasRow,
    ByteCheckRow,
    ChainRow,
    RetirementRow,
    TaskRow,
)
from taskbank.errors import DamagedError

MAX_ENTRIES = 1000  # after more entries than this, every task counts as changed
NO_TASKS = {table_of(ByteCheckRow).name}  # whose rows verifications delete
NAMED = {table_of(row).name: row for row in (AdapterRow, AliasRow, RetirementRow)}


def changed_tasks(connection: Connection, since: int) -> tuple[int, frozenset[str] | None]:
    """Return the number of the newest entry, and the names of the tasks changed after another one.

    Args:
        connection: the transaction to read in.
        since: the number of the entry.

    Returns:
        the number, and the names. None instead of names means that any task may have changed:
        after very many entries, a garbage collection, or if the bank is an older copy now.

    Raises:
        DamagedError: if an entry cannot be read.
    """
    head = read_head(connection)
    newest = head.entries if head else 0
    if newest == since:
        return newest, frozenset()
    if newest < since or newest - since > MAX_ENTRIES:
        return newest, None
    query = select(ChainRow.changes).where(ChainRow.id > since)
    ids: dict[str, set[int]] = defaultdict(set)
    try:
        for text in connection.execute(query).scalars():
            changes = json.loads(text)
            if changes["deleted"].keys() - NO_TASKS:
                return newest, None
            for table in NAMED.keys() & changes["inserted"]:
                ids[table] |= set(map(int, changes["inserted"][table]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"an entry of the bank's chain after entry {since} cannot be read ({error}): run "
            "taskbank verify-all --level integrity"
        ) from None
    return newest, frozenset(_names(connection, ids))


def _names(connection: Connection, ids: dict[str, set[int]]) -> Iterator[str]:
    for table, wanted in ids.items():
        row = NAMED[table]
        for chunk in chunks(sorted(wanted)):
            yield from _names_of(connection, row, chunk)


def _names_of(
    connection: Connection,
    row: type[AdapterRow] | type[AliasRow] | type[RetirementRow],
    ids: Iterable[int],
) -> Iterator[str]:
    query = select(TaskRow.name).join(row, row.task_id == TaskRow.id).where(row.id.in_(list(ids)))
    yield from connection.execute(query).scalars()
