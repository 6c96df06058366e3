"""Walks the chain: compares each entry with the one before it, and all rows with the entries.

What the chain cannot tell by itself is that its newest entries were removed together with their
rows: an earlier bank is a bank too. Only a head that was kept elsewhere shows it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from taskbank.bank.catalog.chain import head_of
from taskbank.bank.catalog.row_index import RowIndex
from taskbank.bank.catalog.stored_rows import StoredRow, paged_rows, stored_damage
from taskbank.bank.catalog.tables import FAMILIES, ChainRow
from taskbank.bank.records import Head
from taskbank.digests import DIGEST

SHOWN = 5  # row ids in one message


class ChainDamage(NamedTuple):
    """What is wrong with the chain, or with rows that it lists; no table if with the chain."""

    table: str | None
    ids: tuple[int, ...]
    message: str


class Walk:
    """One walk over the whole chain.

    Args:
        connection: the transaction to read in.
        tables: the index of every sealed table, by name. Rows that have child rows get their marks
            from the chain; those are yet to be compared.
        damaged: the ids of the rows that differ from their seals, by table.
        expect: a head that the chain must contain.

    Attributes:
        head: the newest head; None if the chain is empty.
        expected: number of the entry with the expected head; None if there is none.
        damages: everything that is wrong.
    """

    def __init__(
        self,
        connection: Connection,
        tables: Mapping[str, RowIndex],
        damaged: Mapping[str, Collection[int]],
        expect: str | None = None,
    ) -> None:
        self.head: Head | None = None
        self.expected: int | None = None
        self.damages: list[ChainDamage] = []
        self._expect = expect
        self._tables = tables
        self._damaged = damaged
        self._absent: dict[str, set[int]] = {name: set() for name in tables}  # listed, not there
        self._missing: dict[str, set[int]] = {name: set() for name in tables}  # and not deleted
        for row in paged_rows(connection, select(ChainRow.__table__)):
            self._add(row)
        if self.head is None:
            self._note("the chain is empty: every entry was removed")
        else:
            self._compare_with_rows()

    def _note(self, message: str, table: str | None = None, *ids: int) -> None:
        self.damages.append(ChainDamage(table, ids, message))

    def _add(self, row: StoredRow) -> None:
        number = row.values["id"]
        newest = self.head or Head(0, "", "")
        if number != newest.entries + 1:
            lost = range(newest.entries + 1, number)
            self._note(f"the chain lacks entries that came before entry {number}: {_some(lost)}")
        if row.unreadable:
            self._note(str(stored_damage("chain", row)))
            self.head = Head(number, str(row.values.get("head")), "")
            return
        at, changes, head = (row.values[name] for name in ("at", "changes", "head"))
        found = head_of(newest.digest, number, at, changes)
        if number == newest.entries + 1 and found != head:
            self._note(
                f"entry {number} of the chain was changed, or the entries before it were: its head "
                f"is {found}, but the recorded head is {head}"
            )
        self.head = Head(number, head, at)
        if head == self._expect:
            self.expected = number
        try:
            inserted, deleted = _parse(changes)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            self._note(f"entry {number} of the chain cannot be read")
            return
        for table, marks in inserted.items():
            for row_id, mark in marks.items():
                self._add_inserted(number, table, row_id, mark)
        for table, ids in deleted.items():
            for row_id in ids:
                self._add_deleted(number, table, row_id)

    def _add_inserted(self, number: int, table: str, row_id: int, mark: str) -> None:
        if table not in self._tables:
            self._note(f"entry {number} of the chain lists a row of the unknown table {table!r}")
            return
        rows = self._tables[table]
        there = row_id in rows
        if rows.list(row_id) or row_id in self._absent[table]:
            self._note(
                f"row {row_id} of table {table!r} is listed again by entry {number}", table, row_id
            )
        if not there:
            self._absent[table].add(row_id)
            self._missing[table].add(row_id)
        elif table in FAMILIES and DIGEST.fullmatch(mark):
            rows.replace(row_id, mark)
        elif rows.mark(row_id) != mark and row_id not in self._damaged[table]:
            self._note(
                f"row {row_id} of table {table!r} is not the row that entry {number} of the chain "
                f"recorded: its seal is {rows.mark(row_id)}, the recorded one is {mark}",
                table,
                row_id,
            )

    def _add_deleted(self, number: int, table: str, row_id: int) -> None:
        if row_id in self._missing.get(table, ()):
            self._missing[table].remove(row_id)
        else:
            self._note(
                f"entry {number} of the chain says that gc deleted row {row_id} of table "
                f"{table!r}, but the row is there or was never recorded"
            )

    def _compare_with_rows(self) -> None:
        for table, rows in self._tables.items():
            if lost := sorted(self._missing[table]):
                self._note(
                    f"table {table!r} has lost rows that the chain lists and that gc did not "
                    f"delete: {_some(lost)}"
                )
            if added := list(rows.unlisted()):
                self._note(
                    f"table {table!r} has rows that no entry of the chain lists, because another "
                    f"program added them or their entries were removed: {_some(added)}",
                    table,
                    *added,
                )


def _parse(changes: str) -> tuple[Mapping[str, Mapping[int, str]], Mapping[str, list[int]]]:
    stored = json.loads(changes)
    inserted = {
        table: {int(row_id): str(mark) for row_id, mark in marks.items()}
        for table, marks in stored["inserted"].items()
    }
    deleted = {table: [int(row_id) for row_id in ids] for table, ids in stored["deleted"].items()}
    return inserted, deleted


def _some(numbers: Sequence[int]) -> str:
    """Return the first of some numbers as text, and how many more there are."""
    shown = ", ".join(map(str, numbers[:SHOWN]))
    return shown + (f" and {len(numbers) - SHOWN:,} more" if len(numbers) > SHOWN else "")
