"""The raw rows of a bank, for the integrity check."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select

from taskbank.bank.catalog.chain_copies import copied_rows
from taskbank.bank.catalog.chain_walk import Walk
from taskbank.bank.catalog.row_index import RowIndex
from taskbank.bank.catalog.rows import Children, child_rows, chunks, family_of, table_of
from taskbank.bank.catalog.scored_splits import scored_rows
from taskbank.bank.catalog.seals import children_damage, family_seal
from taskbank.bank.catalog.stored_rows import (
    CANNOT_BE_READ,
    PAGE,
    READ_ERRORS,
    StoredRow,
    paged_rows,
    sealed_rows,
    stored_damage,
)
from taskbank.bank.catalog.structure import check_tables, structure_damages
from taskbank.bank.catalog.tables import (
    FAMILIES,
    SEALED_TABLES,
    VERIFICATION_CHILDREN,
    AdapterRow,
    BackboneRow,
    ScoredSplitRow,
    TaskRow,
    VerificationRow,
)
from taskbank.bank.catalog.triggers import trigger_damages

MODELS = {model.__tablename__: model for model in SEALED_TABLES}
LONGEST_VERSION = 9  # digits; longer numbers overflow the databases' integers


@dataclass(frozen=True)
class Contents:
    """The row of an adapter, and the rows that belong to it.

    Attributes:
        row: the adapter's own row.
        rows: the child rows, by table.
        scored: the rows of further splits.
        damages: descriptions of damage to the child rows.
    """

    row: Mapping[str, Any]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    scored: Sequence[Mapping[str, Any]]
    damages: tuple[str, ...]

    @property
    def splits(self) -> Sequence[Mapping[str, Any]]:
        """The rows of all splits."""
        return (*self.rows["predictions"], *self.scored)


class TaskNames(NamedTuple):
    """What the integrity check needs of a task's row; None for what cannot be read."""

    name: str | None
    kind: str | None


class RawRows:
    """One consistent view of all rows of a bank, of which few are in memory at a time.

    Args:
        connection: the transaction to read in.
        read_blob: returns the checked bytes of a digest.
        tasks: names of the tasks whose rows to include, along with the rows that belong to every
            task; empty means all rows.
        expect: a head that the chain must contain, if all rows are included.

    Attributes:
        read_blob: returns the checked bytes of a digest.
        tables: the index of every sealed table, by name.
        damages: descriptions of the damage to rows, by table name and row id.
        tasks: the names of tasks, by row id.
        fingerprints: of the backbones, by row id.
        walk: the walk over the chain; None if rows of some tasks only are included.
    """

    def __init__(
        self,
        connection: Connection,
        read_blob: Callable[[str], bytes],
        tasks: Collection[str] = (),
        expect: str | None = None,
    ) -> None:
        self.connection = connection
        self._chosen = tasks
        self.read_blob = read_blob
        if not tasks:
            check_tables(connection)
        self.tables = {table: RowIndex() for table in MODELS}
        self.damages: dict[str, dict[int, str]] = {table: {} for table in MODELS}
        self.tasks: dict[int, TaskNames] = {}
        self.fingerprints: dict[int, str] = {}
        for table in MODELS:
            for row in self.rows(table):
                self._add(table, row)
        self.walk = None if tasks else Walk(connection, self.tables, self.damages, expect)

    def _add(self, table: str, row: StoredRow) -> None:
        row_id = row.values["id"]
        seal = None if table in FAMILIES else row.values.get("seal")
        self.tables[table].append(row_id, seal)
        damage = stored_damage(table, row)
        if damage is not None:
            self.damages[table][row_id] = damage
        if table == TaskRow.__tablename__:
            self.tasks[row_id] = TaskNames(row.values.get("name"), row.values.get("kind"))
        if table == BackboneRow.__tablename__:
            self.fingerprints[row_id] = str(row.values.get("fingerprint"))

    def rows(self, table: str) -> Iterator[StoredRow]:
        """Yield the rows of a sealed table, in the order of their ids."""
        return sealed_rows(self.connection, MODELS[table], self._chosen)

    def schema_damages(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the triggers, and for all rows with keys and indexes.

        Yields:
            `triggers` or `schema`, and a description.
        """
        for damage in trigger_damages(self.connection):
            yield "triggers", damage
        if not self._chosen:
            for damage in structure_damages(self.connection):
                yield "schema", damage

    def adapters_of(self, table: str, row_ids: Collection[int]) -> Iterator[int]:
        """Yield the ids of the adapters that consist of or refer to the given rows of a table."""
        columns = {
            "adapters": (AdapterRow.id, AdapterRow.id),
            "tasks": (AdapterRow.task_id, AdapterRow.id),
            "backbones": (AdapterRow.backbone_id, AdapterRow.id),
            "scored_splits": (ScoredSplitRow.id, ScoredSplitRow.adapter_id),
        }
        if table not in columns:
            return
        own, adapter = columns[table]
        for row_id in row_ids:
            try:
                found = self.connection.execute(select(adapter).where(own == row_id)).scalars()
                ids = list(found)
            except READ_ERRORS:
                continue
            yield from ids

    @cached_property
    def copied_adapters(self) -> frozenset[int]:
        """The ids of the adapters that were copied from another bank."""
        return copied_rows(self.connection, "adapters")

    def digest_of(self, ref: str) -> str | None:
        """Return the digest of a version's weights; None if no intact row has one.

        Args:
            ref: its full name, such as `sst2@3`.
        """
        name, _, version = ref.rpartition("@")
        if not version.isdecimal() or len(version) > LONGEST_VERSION:
            return None
        query = (
            select(AdapterRow.id, AdapterRow.task_id, AdapterRow.digest)
            .join(TaskRow, TaskRow.id == AdapterRow.task_id)
            .where(TaskRow.name == name, AdapterRow.version == int(version))
        )
        for row_id, task, digest in self.connection.execute(query):
            if self._is_intact("adapters", row_id) and self._is_intact("tasks", task):
                return str(digest)
        return None

    def _is_intact(self, table: str, row_id: int) -> bool:
        if row_id in self.tables[table]:
            return row_id not in self.damages[table]
        own = table_of(MODELS[table])  # of a task that was not chosen
        found = list(paged_rows(self.connection, select(own).where(own.c.id == row_id)))
        return bool(found) and stored_damage(table, found[0]) is None

    def contents(self, adapters: Sequence[int]) -> Iterator[Contents]:
        """Yield the rows of adapters with their child rows, and with any damage to those.

        Args:
            adapters: the ids of the rows.
        """
        table = AdapterRow.__tablename__
        for chunk in chunks(adapters):
            rows = self._parents(chunk)
            children_of_chunk = self._children(chunk)
            scored = scored_rows(self.connection, chunk)
            for row_id in chunk:
                row = rows[row_id]
                children = children_of_chunk or self._children([row_id])
                if children is None:
                    yield Contents(row, {}, (), (_unreadable(table, row_id),))
                    continue
                children_of_row = family_of(children, row_id)
                damages = tuple(children_damage(row, children)) or self._other_family(
                    table, row, children_of_row
                )
                yield Contents(row, children_of_row, scored.get(row_id, ()), damages)

    def verification_damages(self) -> Iterator[str]:
        """Yield the damage to the results and findings of verifications whose own row is intact.

        There may be a result for every adapter, so they are read in pages, once for each digest.
        """
        table = VerificationRow.__tablename__
        for stored in self.rows(table):
            row, row_id = stored.values, stored.values["id"]
            if row_id in self.damages[table]:
                continue
            try:
                pages = {name: {row_id: rows} for name, rows in self._results(row_id).items()}
                damages = tuple(children_damage(row, pages)) or self._other_family(
                    table, row, self._results(row_id)
                )
            except READ_ERRORS:
                damages = (_unreadable(table, row_id),)
            yield from damages

    def _results(self, verification: int) -> dict[str, Iterator[Mapping[str, Any]]]:
        return {
            name: self._paged_children(table_of(model), parent, verification)
            for name, (model, parent) in VERIFICATION_CHILDREN.items()
        }

    def _paged_children(self, table: Table, parent: str, own: int) -> Iterator[Mapping[str, Any]]:
        query = select(table).where(table.c[parent] == own).order_by(table.c.id)
        with self.connection.execute(query.execution_options(yield_per=PAGE)) as found:
            yield from map(dict, found.mappings())

    def _parents(self, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        own = table_of(AdapterRow)
        found = self.connection.execute(select(own).where(own.c.id.in_(ids))).mappings()
        return {row["id"]: dict(row) for row in found}

    def _other_family(
        self, table: str, row: Mapping[str, Any], children: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Return the damage to a row whose seal and contents fit, but not what the chain says."""
        mark = self.tables[table].mark(row["id"]) if self.walk else None
        if mark in (None, family_seal(row["seal"], children)):
            return ()
        names = ", ".join(children)
        return (
            f"row {row['id']} of table {table!r} or its rows of {names} are not the ones that the "
            "chain recorded under these ids",
        )

    def _children(self, adapters: Sequence[int]) -> Children | None:
        """Return the child rows of adapters; None if a value cannot be read."""
        try:
            return child_rows(self.connection, adapters)
        except READ_ERRORS:
            return None


def _unreadable(table: str, row_id: int) -> str:
    return f"a value that belongs to row {row_id} of table {table!r} {CANNOT_BE_READ}"
