"""The raw rows of a bank, for the integrity check."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from taskbank.bank.catalog.rows import child_rows, chunks
from taskbank.bank.catalog.seals import children_damage
from taskbank.bank.catalog.stored_rows import (
    CANNOT_BE_READ,
    READ_ERRORS,
    sealed_rows,
    stored_damage,
)
from taskbank.bank.catalog.tables import CHILDREN, SEALED_TABLES, VERIFICATION_CHILDREN, Base
from taskbank.bank.catalog.triggers import missing_triggers


@dataclass(frozen=True)
class Contents:
    """The rows that belong to another row.

    Attributes:
        id: the parent row's id.
        rows: the child rows, by table.
        damages: descriptions of damage to the child rows.
    """

    id: int
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    damages: tuple[str, ...]


class RawRows:
    """One consistent view of all rows of a bank.

    Args:
        connection: the transaction to read in.
        read_blob: returns the checked bytes of a digest.
        tasks: names of the tasks whose rows to include, along with the rows that belong to every
            task; empty means all rows.

    Attributes:
        tables: the rows of every sealed table, by table name and row id.
        missing_triggers: the names of append-only triggers that are missing or disabled.
        read_blob: returns the checked bytes of a digest.
    """

    def __init__(
        self,
        connection: Connection,
        read_blob: Callable[[str], bytes],
        tasks: Collection[str] = (),
    ) -> None:
        self._connection = connection
        self.read_blob = read_blob
        self.missing_triggers = missing_triggers(connection)
        self.tables = {
            model.__tablename__: {
                row.values["id"]: row for row in sealed_rows(connection, model, tasks)
            }
            for model in SEALED_TABLES
        }

    def damages(self, table: str) -> Iterator[tuple[int, str]]:
        """Yield the id of every damaged row of a table with a description of the damage."""
        for row_id, row in self.tables[table].items():
            damage = stored_damage(table, row)
            if damage is not None:
                yield row_id, damage

    def contents(self, table: str, ids: Sequence[int]) -> Iterator[Contents]:
        """Yield the child rows of the given rows, with any damage to them.

        Args:
            table: `adapters` or `verifications`.
            ids: ids of the parent rows.
        """
        child_tables = {"adapters": CHILDREN, "verifications": VERIFICATION_CHILDREN}[table]
        for chunk in chunks(ids):
            children_of_chunk = self._children(chunk, child_tables)
            for row_id in chunk:
                children = children_of_chunk or self._children([row_id], child_tables)
                if children is None:
                    message = (
                        f"a value that belongs to row {row_id} of table {table!r} {CANNOT_BE_READ}"
                    )
                    yield Contents(row_id, {}, (message,))
                    continue
                children_of_row = {
                    name: groups.get(row_id, []) for name, groups in children.items()
                }
                row = self.tables[table][row_id].values
                yield Contents(row_id, children_of_row, tuple(children_damage(row, children)))

    def _children(
        self, ids: Sequence[int], child_tables: Mapping[str, tuple[type[Base], str]]
    ) -> Mapping[str, Mapping[int, list[Mapping[str, Any]]]] | None:
        """Return the child rows of the given rows; None if a value cannot be read."""
        try:
            return child_rows(self._connection, ids, child_tables)
        except READ_ERRORS:
            return None
