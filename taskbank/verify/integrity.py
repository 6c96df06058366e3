"""Integrity: is everything that is stored what was recorded? Knows nothing of torch.

Every row against its seal, every blob against its digest, every tensor against its shape.
It only looks, and carries on past whatever it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from tqdm import tqdm

from taskbank import plugins
from taskbank.bank import Bank
from taskbank.catalog.catalog import children_damage, row_damage
from taskbank.catalog.engine import reading
from taskbank.catalog.models import SEALED, VERIFICATION_CHILDREN
from taskbank.verify.report import Finding
from taskbank.verify.stored import SeenSplits, stored_damage

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

UNREADABLE = "holds a value that cannot be read (not UTF-8, or not JSON)"
RESTORE = "restore the bank from a copy, or remove the task and add it again"

Row = Mapping[str, Any]


@dataclass
class Checked:
    """What the integrity check knows of one adapter in use.

    Attributes:
        task: the task's name, as its row has it now.
        version: of the task.
        metric: the task's own metric.
        score: its recorded value.
        damaged: whether anything of it is not what was recorded.
    """

    task: str
    version: int
    metric: str
    score: float
    damaged: bool = False


@dataclass
class Integrity:
    """What the integrity check found.

    Attributes:
        findings: everything that was noticed.
        adapters: every adapter in use that was looked at, by the id of its row.
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
    wanted: Callable[[str, int], bool] = lambda task, version: True,
    *,
    progress: bool = False,
) -> Integrity:
    """Check everything that is stored against what was recorded.

    Args:
        bank: an open bank.
        wanted: says by name and version which adapters to look at; the rows that belong to
            no single adapter are always checked.
        progress: show a bar, if the error stream is a terminal.
    """
    found = Integrity()
    with reading(bank.engine) as connection:
        for trigger in bank.catalog.missing_triggers(connection):
            found.note([], "triggers", f"trigger {trigger!r} is missing or switched off: {RESTORE}")
        tables = {
            model.__tablename__: dict(bank.catalog.sealed_rows(connection, model))
            for model in SEALED
        }
        found.adapters = _in_use(tables, wanted)
        for table, rows in tables.items():
            for row_id, row in rows.items():
                _check_row(found, tables, table, row_id, row)
        _check_verifications(bank, connection, found, tables["verifications"])
        splits: SeenSplits = {}
        for row_id, adapter in tqdm(
            found.adapters.items(),
            desc="checking",
            unit="adapter",
            disable=None if progress else True,
        ):
            row = tables["adapters"][row_id]
            if row is not None:
                _check_adapter(bank, connection, found, adapter, row, tables, splits)
    return found


def _in_use(
    tables: Mapping[str, Mapping[int, Row | None]], wanted: Callable[[str, int], bool]
) -> dict[int, Checked]:
    retired = {(row["task_id"], row["version"]) for row in tables["retirements"].values() if row}
    adapters = {}
    for row_id, row in tables["adapters"].items():
        if row is None or (row["task_id"], row["version"]) in retired:
            continue
        task = tables["tasks"].get(row["task_id"])
        name = task["name"] if task else f"task row {row['task_id']}"
        if wanted(name, row["version"]):
            adapters[row_id] = Checked(name, row["version"], row["metric"], row["score"])
    return adapters


def _check_row(
    found: Integrity,
    tables: Mapping[str, Mapping[int, Row | None]],
    table: str,
    row_id: int,
    row: Row | None,
) -> None:
    damage = (
        f"row {row_id} of table {table!r} {UNREADABLE}" if row is None else row_damage(table, row)
    )
    if damage is None:
        return
    parent = {"tasks": "task_id", "backbones": "backbone_id"}.get(table)
    concerned = [
        adapter
        for adapter_id, adapter in found.adapters.items()
        if (table == "adapters" and adapter_id == row_id)
        or (parent and (tables["adapters"][adapter_id] or {}).get(parent) == row_id)
    ]
    found.note(concerned, "row", f"{damage}: {RESTORE}")


def _check_verifications(
    bank: Bank, connection: Connection, found: Integrity, rows: Mapping[int, Row | None]
) -> None:
    for row_id, row in rows.items():
        if row is None:
            continue
        try:
            children = bank.catalog.children(connection, [row_id], VERIFICATION_CHILDREN)
            damages = list(children_damage(row, children))
        except (ValueError, OperationalError):
            damages = [f"a row that belongs to verification {row_id} {UNREADABLE}"]
        for damage in damages:
            found.note([], "contents", f"{damage}: {RESTORE}")


def _check_adapter(
    bank: Bank,
    connection: Connection,
    found: Integrity,
    adapter: Checked,
    row: Row,
    tables: Mapping[str, Mapping[int, Row | None]],
    splits: SeenSplits,
) -> None:
    try:
        children = bank.catalog.children(connection, [row["id"]])
        damages = list(children_damage(row, children))
    except (ValueError, OperationalError):
        found.note([adapter], "contents", f"a row that belongs to it {UNREADABLE}: {RESTORE}")
        return
    for damage in damages:
        found.note([adapter], "contents", f"{damage}: {RESTORE}")
    task = tables["tasks"].get(row["task_id"])
    backbone = tables["backbones"].get(row["backbone_id"])
    if task is None or backbone is None:
        missing = "tasks" if task is None else "backbones"
        found.note([adapter], "row", f"its row of table {missing!r} is missing: {RESTORE}")
        return
    if adapter.damaged:  # what follows would only say the same again
        return
    kind: Kind = plugins.load("kinds", task["kind"])
    predictions = children["predictions"].get(row["id"], [])
    for check, message in stored_damage(bank.blobs.get, row, predictions, kind, splits):
        found.note([adapter], check, f"{message}: {RESTORE}")
