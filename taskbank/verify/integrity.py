"""Integrity: is everything that is stored what was recorded? Knows nothing of torch.

Every row against its seal, every blob against its digest, every tensor against its shape.
It only looks, and carries on past whatever it finds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from tqdm import tqdm

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import reading
from taskbank.bank.catalog.raw_rows import (
    NOT_READABLE,
    UNREADABLE,
    StoredRow,
    sealed_rows,
    stored_damage,
)
from taskbank.bank.catalog.rows import child_rows, parts
from taskbank.bank.catalog.seals import children_damage
from taskbank.bank.catalog.tables import CHILDREN, SEALED, VERIFICATION_CHILDREN, Base
from taskbank.bank.catalog.triggers import missing_triggers
from taskbank.errors import TaskbankError
from taskbank.verify.contents import SeenSplits, bytes_damage, no_splits
from taskbank.verify.report import Finding, Status

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

RESTORE = "restore the bank from a copy, or remove the task and add it again"

Children = dict[str, dict[int, list[Mapping[str, Any]]]]  # rows by table, then by parent
Tables = dict[str, dict[int, StoredRow]]  # by name, then by id


@dataclass
class Checked:
    """What the integrity check knows of one adapter in use.

    Attributes:
        task: the task's name, as its row has it now.
        version: of the task.
        metric: the task's own metric; none if it cannot be read.
        score: its recorded value.
        retired: whether it is out of use; then only its rows are checked.
        damaged: whether anything of it is not what was recorded.
        gone: whether all that is wrong is that what it could be checked by is gone.
    """

    task: str
    version: int
    metric: str | None
    score: float
    retired: bool
    damaged: bool = False
    gone: bool = False

    @property
    def status(self) -> Status:
        """What is to be said of it if nothing more is found."""
        if self.gone:
            return "unverifiable"
        return "damaged" if self.damaged else "ok"


@dataclass
class Integrity:
    """What the integrity check found.

    Attributes:
        findings: everything that was noticed.
        adapters: every adapter that was looked at, by the id of its row.
    """

    findings: list[Finding] = field(default_factory=list)
    adapters: dict[int, Checked] = field(default_factory=dict)

    def note(self, adapters: Sequence[Checked], check: str, message: str) -> None:
        """Add a finding for each adapter that it concerns, or one for the bank if for none."""
        for adapter in adapters:
            adapter.damaged = True
            self.findings.append(Finding(adapter.task, adapter.version, check, message))
        if not adapters:
            self.findings.append(Finding(None, None, check, message))


def check_integrity(
    bank: Bank,
    chosen: Collection[tuple[str, int | None]] = (),
    *,
    progress: bool = False,
) -> Integrity:
    """Check everything that is stored against what was recorded.

    Args:
        bank: an open bank.
        chosen: names and versions of the adapters to look at, version none meaning all of that
            name; none at all means the whole bank, with the verifications and other rows that
            belong to no single task.
        progress: show a bar, if the error stream is a terminal.
    """
    found = Integrity()
    tasks = {name for name, _ in chosen}
    with reading(bank.engine) as connection:
        for trigger in missing_triggers(connection):
            found.note([], "triggers", f"trigger {trigger!r} is missing or switched off: {RESTORE}")
        tables: Tables = {
            model.__tablename__: {
                row.values["id"]: row for row in sealed_rows(connection, model, tasks)
            }
            for model in SEALED
        }
        found.adapters = _adapters(tables, chosen)
        for table, rows in tables.items():
            for row in rows.values():
                _check_row(found, tables, table, row)
        _check_verifications(connection, found, tables["verifications"])
        _check_blobs(bank, found, tables)
        splits = no_splits()
        children = _children(connection, list(found.adapters))
        for row_id, adapter in tqdm(
            found.adapters.items(),
            desc="checking",
            unit="adapter",
            disable=None if progress else True,
        ):
            _check_adapter(bank, connection, found, adapter, row_id, tables, children, splits)
    return found


def _adapters(tables: Tables, chosen: Collection[tuple[str, int | None]]) -> dict[int, Checked]:
    retired = {
        (row.values.get("task_id"), row.values.get("version"))
        for row in tables["retirements"].values()
    }
    adapters = {}
    for row_id, stored in tables["adapters"].items():
        row = stored.values
        task = tables["tasks"].get(row["task_id"])
        name = task.values.get("name") if task else None
        name = f"(task {row['task_id']})" if name is None else name
        if not chosen or (name, None) in chosen or (name, row["version"]) in chosen:
            adapters[row_id] = Checked(
                name,
                row["version"],
                row.get("metric"),
                row["score"],
                retired=(row["task_id"], row["version"]) in retired,
            )
    return adapters


def _check_row(found: Integrity, tables: Tables, table: str, stored: StoredRow) -> None:
    row_id = stored.values["id"]
    damage = stored_damage(table, stored)
    if damage is None:
        return
    parent = {"tasks": "task_id", "backbones": "backbone_id", "adapters": "id"}.get(table)
    concerned = [
        adapter
        for adapter_id, adapter in found.adapters.items()
        if parent and tables["adapters"][adapter_id].values[parent] == row_id
    ]
    found.note(concerned, "row", f"{damage}: {RESTORE}")


def _check_verifications(
    connection: Connection, found: Integrity, rows: Mapping[int, StoredRow]
) -> None:
    # What is wrong with a row itself was said already.
    sound = [i for i, row in rows.items() if stored_damage("verifications", row) is None]
    for part in parts(sound):
        known = _children(connection, part, VERIFICATION_CHILDREN)
        for row_id in part:
            try:
                children = known or child_rows(connection, [row_id], VERIFICATION_CHILDREN)
                damages = list(children_damage(rows[row_id].values, children))
            except UNREADABLE:
                damages = [f"a value that belongs to verification {row_id} {NOT_READABLE}"]
            for damage in damages:
                found.note([], "contents", f"{damage}: {RESTORE}")


def _check_blobs(bank: Bank, found: Integrity, tables: Tables) -> None:
    """Check the blobs that belong to no adapter: of trials, observations and acceptances."""
    there = set(tables["adapters"])
    named = [
        (name, row_id, row.values)
        for name in ("trials", "observations", "acceptances")
        for row_id, row in tables[name].items()
        if row.values.get("digest") is not None
    ]
    seen: set[str] = set()
    for table, row_id, values in named:
        digest = values["digest"]
        # Those of an adapter that gc has destroyed are gone with it.
        if digest in seen or ("adapter_id" in values and values["adapter_id"] not in there):
            continue
        seen.add(digest)
        try:
            bank.blobs.get(digest)
        except TaskbankError as error:
            message = f"what row {row_id} of table {table!r} names cannot be read: {error}"
            found.note([], "weights" if table == "trials" else "predictions", message)


def _children(
    connection: Connection,
    parents: Sequence[int],
    of: Mapping[str, tuple[type[Base], str]] = CHILDREN,
) -> Children | None:
    """Return the child rows of some parents at once; none if a value cannot be read."""
    try:
        return child_rows(connection, parents, of)
    except UNREADABLE:
        return None


def _check_adapter(
    bank: Bank,
    connection: Connection,
    found: Integrity,
    adapter: Checked,
    row_id: int,
    tables: Tables,
    known: Children | None,
    splits: SeenSplits,
) -> None:
    if adapter.damaged:  # what follows would only say the same again
        return
    row = tables["adapters"][row_id].values
    try:
        children = known or child_rows(connection, [row_id])
        damages = list(children_damage(row, children))
    except UNREADABLE:
        damages = [f"a value that belongs to it {NOT_READABLE}"]
    for damage in damages:
        found.note([adapter], "contents", f"{damage}: {RESTORE}")
    for parent, column in (("tasks", "task_id"), ("backbones", "backbone_id")):
        if row[column] not in tables[parent]:
            found.note([adapter], "row", f"its row of table {parent!r} is missing: {RESTORE}")
    if adapter.damaged or adapter.retired:
        return
    kind: Kind = plugins.load("kinds", tables["tasks"][row["task_id"]].values["kind"])
    predictions = children["predictions"].get(row_id, [])
    checks = set()
    for check, message in bytes_damage(bank.blobs.get, row, predictions, kind, splits):
        found.note([adapter], check, f"{message}: {RESTORE}")
        checks.add(check)
    adapter.gone = checks == {"gone"}
