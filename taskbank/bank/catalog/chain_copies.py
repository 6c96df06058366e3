"""The entries of a chain whose rows were copied from another bank, and from which.

Such an entry has a third key besides `inserted` and `deleted`: `copied`, with the other bank's uuid
and its head at that time. So it stays on record that the rows were made elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.catalog.stored_rows import READ_ERRORS
from taskbank.bank.catalog.tables import ChainRow
from taskbank.bank.records import CopyRecord, Head

FIRST_KEY = '{"copied":'  # the keys of canonical JSON are sorted


def origin(bank: str, head: Head) -> dict[str, Any]:
    """Return what an entry says of where its rows were copied from.

    Args:
        bank: the uuid of the other bank.
        head: its head.
    """
    return {"bank": bank, "head": head.digest, "entries": head.entries}


def read_copies(connection: Connection) -> tuple[CopyRecord, ...]:
    """Return what was copied into a bank, oldest first; entries from one state are one record."""
    found: dict[tuple[str, str], CopyRecord] = {}
    for _, at, changes in _entries(connection):
        copied, rows = changes["copied"], changes["inserted"]
        key = copied["bank"], copied["head"]
        before = found.get(key)
        found[key] = CopyRecord(
            bank=copied["bank"],
            head=copied["head"],
            entries=copied["entries"],
            started_at=before.started_at if before else at,
            finished_at=at,
            versions=(before.versions if before else 0) + len(rows.get("adapters", ())),
        )
    return tuple(found.values())


def copied_rows(connection: Connection, table: str) -> frozenset[int]:
    """Return the ids of the rows of a table that were copied from another bank."""
    return frozenset(
        int(row_id)
        for _, _, changes in _entries(connection)
        for row_id in changes["inserted"].get(table, ())
    )


def _entries(connection: Connection) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Yield the number, the time and the changes of every readable entry of copied rows."""
    query = (
        select(ChainRow.id, ChainRow.at, ChainRow.changes)
        .where(ChainRow.changes.startswith(FIRST_KEY, autoescape=True))
        .order_by(ChainRow.id)
    )
    try:
        for number, at, text in connection.execute(query):
            changes = json.loads(text)
            if {"bank", "head", "entries"} <= changes["copied"].keys():
                yield number, at, changes
    except (*READ_ERRORS, AttributeError, KeyError, TypeError, RecursionError):
        return  # the integrity check says which entry cannot be read
