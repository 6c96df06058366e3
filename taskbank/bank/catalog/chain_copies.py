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
    for at, changes in _entries(connection):
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


def copied_rows(connection: Connection, table: str, bank: str | None = None) -> frozenset[int]:
    """Return the ids of the rows of a table that were copied from another bank.

    Args:
        connection: the transaction to read in.
        table: the table's name.
        bank: the uuid of the other bank; None means any.
    """
    return frozenset(
        int(row_id)
        for _, changes in _entries(connection)
        if bank in (None, changes["copied"]["bank"])
        for row_id in changes["inserted"].get(table, ())
    )


def _entries(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the time and the changes of every readable entry of copied rows."""
    query = (
        select(ChainRow.at, ChainRow.changes)
        .where(ChainRow.changes.startswith(FIRST_KEY, autoescape=True))
        .order_by(ChainRow.id)
    )
    try:
        for at, text in connection.execute(query):
            changes = json.loads(text)
            if {"bank", "head", "entries"} <= changes["copied"].keys():
                yield at, changes
    except (*READ_ERRORS, AttributeError, KeyError, TypeError, RecursionError):
        return  # the integrity check says which entry cannot be read
