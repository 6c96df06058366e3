"""The raw rows of a bank, for the integrity check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from taskbank.bank.catalog.chain_copies import copied_rows
from taskbank.bank.catalog.chain_walk import Walk
from taskbank.bank.catalog.rows import Children, child_rows, chunks, family_of
from taskbank.bank.catalog.seals import children_damage, family_seal
from taskbank.bank.catalog.stored_rows import (
    CANNOT_BE_READ,
    READ_ERRORS,
    StoredRow,
    sealed_rows,
    stored_damage,
)
from taskbank.bank.catalog.structure import check_tables, structure_damages
from taskbank.bank.catalog.tables import FAMILIES, SEALED_TABLES, Base
from taskbank.bank.catalog.triggers import trigger_damages


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
        walk: the walk over the chain; None if rows of some tasks only are included.
        read_blob: returns the checked bytes of a digest.
        damages: descriptions of the damage to rows, by table name and row id.
    """

    def __init__(
        self,
        connection: Connection,
        read_blob: Callable[[str], bytes],
        tasks: Collection[str] = (),
    ) -> None:
        self._connection = connection
        self._whole = not tasks
        self.read_blob = read_blob
        if self._whole:
            check_tables(connection)
        self.tables = {
            model.__tablename__: {
                row.values["id"]: row for row in sealed_rows(connection, model, tasks)
            }
            for model in SEALED_TABLES
        }
        self.damages = {table: dict(_damages(table, rows)) for table, rows in self.tables.items()}
        self.walk = Walk(connection, self.tables, self.damages) if self._whole else None

    def schema_damages(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the triggers, and for all rows with keys and indexes.

        Yields:
            `triggers` or `schema`, and a description.
        """
        for damage in trigger_damages(self._connection):
            yield "triggers", damage
        if self._whole:
            for damage in structure_damages(self._connection):
                yield "schema", damage

    @cached_property
    def scored_splits(self) -> Mapping[int | None, Sequence[Mapping[str, Any]]]:
        """The rows of further splits, by the id of their adapter."""
        rows = defaultdict(list)
        for row in self.tables["scored_splits"].values():
            rows[row.values.get("adapter_id")].append(row.values)
        return rows

    @cached_property
    def copied_adapters(self) -> frozenset[int]:
        """The ids of the adapters that were copied from another bank."""
        return copied_rows(self._connection, "adapters")

    def digest_of(self, ref: str) -> str | None:
        """Return the digest of a version's weights; None if no intact row has one.

        Args:
            ref: its full name, such as `sst2@3`.
        """
        return self._digests.get(ref)

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The digests of the weights of intact rows, by full name."""
        names = {
            row_id: row.values.get("name")
            for row_id, row in self.tables["tasks"].items()
            if row_id not in self.damages["tasks"]
        }
        intact = (
            row.values
            for row_id, row in self.tables["adapters"].items()
            if row_id not in self.damages["adapters"]
        )
        return {
            f"{names[row['task_id']]}@{row['version']}": row["digest"]
            for row in intact
            if row["task_id"] in names
        }

    def contents(self, table: str, ids: Sequence[int]) -> Iterator[Contents]:
        """Yield the child rows of the given rows, with any damage to them.

        Args:
            table: `adapters` or `verifications`.
            ids: ids of the parent rows.
        """
        child_tables = FAMILIES[table]
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
                children_of_row = family_of(children, row_id)
                row = self.tables[table][row_id].values
                damages = tuple(children_damage(row, children)) or self._other_family(
                    table, row, children_of_row
                )
                yield Contents(row_id, children_of_row, damages)

    def _other_family(
        self, table: str, row: Mapping[str, Any], children: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Return the damage to a row whose seal and contents fit, but not what the chain says."""
        mark = self.walk.family_marks[table].get(row["id"]) if self.walk else None
        if mark is None or mark == family_seal(row["seal"], children):
            return ()
        names = ", ".join(children)
        return (
            f"row {row['id']} of table {table!r} or its rows of {names} are not the ones that the "
            "chain recorded under these ids",
        )

    def _children(
        self, ids: Sequence[int], child_tables: Mapping[str, tuple[type[Base], str]]
    ) -> Children | None:
        """Return the child rows of the given rows; None if a value cannot be read."""
        try:
            return child_rows(self._connection, ids, child_tables)
        except READ_ERRORS:
            return None


def _damages(table: str, rows: Mapping[int, StoredRow]) -> Iterator[tuple[int, str]]:
    for row_id, row in rows.items():
        damage = stored_damage(table, row)
        if damage is not None:
            yield row_id, damage
