"""Everything a bank stores, as it is stored: what the integrity check looks at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from taskbank.bank.catalog.raw_rows import NOT_READABLE, UNREADABLE, sealed_rows, stored_damage
from taskbank.bank.catalog.rows import child_rows, parts
from taskbank.bank.catalog.seals import children_damage
from taskbank.bank.catalog.tables import CHILDREN, SEALED, VERIFICATION_CHILDREN, Base
from taskbank.bank.catalog.triggers import missing_triggers


@dataclass(frozen=True)
class Contents:
    """The rows that belong to another row.

    Attributes:
        id: of the parent row.
        rows: by table.
        damages: what is wrong with them, in words.
    """

    id: int
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    damages: tuple[str, ...]


class RawRows:
    """One consistent view of everything a bank stores.

    Args:
        connection: the transaction to read in.
        read_blob: returns the checked bytes of a digest.
        tasks: only the rows of these tasks, and the rows that belong to every task; none at all
            means every row.

    Attributes:
        tables: the rows of every sealed table, by its name and by their ids.
        missing_triggers: the names of append-only triggers that are missing or switched off.
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
            for model in SEALED
        }

    def damages(self, table: str) -> Iterator[tuple[int, str]]:
        """Give the ids of damaged rows of a table, each with what is wrong."""
        for row_id, row in self.tables[table].items():
            damage = stored_damage(table, row)
            if damage is not None:
                yield row_id, damage

    def contents(self, table: str, ids: Sequence[int]) -> Iterator[Contents]:
        """Give the child rows of some rows, and what is wrong with them.

        Args:
            table: `adapters` or `verifications`.
            ids: of the rows.
        """
        kinds = {"adapters": CHILDREN, "verifications": VERIFICATION_CHILDREN}[table]
        for part in parts(ids):
            known = self._children(part, kinds)
            for row_id in part:
                children = known or self._children([row_id], kinds)
                if children is None:
                    told = f"a value that belongs to row {row_id} of table {table!r} {NOT_READABLE}"
                    yield Contents(row_id, {}, (told,))
                    continue
                own = {name: groups.get(row_id, []) for name, groups in children.items()}
                row = self.tables[table][row_id].values
                yield Contents(row_id, own, tuple(children_damage(row, children)))

    def _children(
        self, ids: Sequence[int], kinds: Mapping[str, tuple[type[Base], str]]
    ) -> Mapping[str, Mapping[int, list[Mapping[str, Any]]]] | None:
        """Return the child rows of some rows; none if a value cannot be read."""
        try:
            return child_rows(self._connection, ids, kinds)
        except UNREADABLE:
            return None
