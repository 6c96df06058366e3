"""Integrity: is everything that is stored what was recorded?

Every row is checked against its seal, every blob against its digest, every tensor against its
shape. The check only looks, and carries on past whatever it finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.raw_rows import Contents, RawRows
from taskbank.errors import TaskbankError
from taskbank.verify.contents import SeenSplits, bytes_damage, no_splits
from taskbank.verify.report import Finding, Status

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

RESTORE = "restore the bank from a copy, or remove the task and add it again"


@dataclass(frozen=True)
class Checked:
    """What the integrity check knows about one adapter.

    Attributes:
        task: the task's name, as its row has it now.
        version: of the task.
        metric: the task's own metric; none if it cannot be read.
        score: its recorded value.
        retired: whether it is out of use; then only its rows are checked.
        failed: the checks that found something.
    """

    task: str
    version: int
    metric: str | None
    score: float
    retired: bool
    failed: frozenset[str] = frozenset()

    @property
    def sound(self) -> bool:
        """Whether it is in use and nothing was found."""
        return not (self.failed or self.retired)

    @property
    def status(self) -> Status:
        """Its status if nothing more is found."""
        if self.failed == {"gone"}:
            return "unverifiable"
        return "damaged" if self.failed else "ok"


@dataclass(frozen=True)
class Integrity:
    """The result of an integrity check.

    Attributes:
        findings: everything that was found, in order.
        adapters: every adapter that was checked.
    """

    findings: tuple[Finding, ...]
    adapters: tuple[Checked, ...]


class _Damage(NamedTuple):
    """Something that is not what was recorded, and the adapters (by row id) it concerns."""

    adapters: tuple[int, ...]
    check: str
    message: str


def check_integrity(
    bank: Bank,
    chosen: Collection[tuple[str, int | None]] = (),
    *,
    progress: bool = False,
) -> Integrity:
    """Check everything that is stored against what was recorded.

    Args:
        bank: an open bank.
        chosen: names and versions of the adapters to check, version none meaning all of that
            name; none at all means the whole bank, with the verifications and other rows that
            belong to no single task.
        progress: show a bar, if the error stream is a terminal.
    """
    with bank.raw_rows({name for name, _ in chosen}) as rows:
        adapters = _adapters(rows, chosen)
        damages = [
            *_trigger_damages(rows),
            *_row_damages(rows, adapters),
            *_verification_damages(rows),
            *_loose_blob_damages(rows),
        ]
        concerned = {row_id for damage in damages for row_id in damage.adapters}
        splits = no_splits()
        for contents in tqdm(
            rows.contents("adapters", list(adapters)),
            total=len(adapters),
            desc="checking",
            unit="adapter",
            disable=None if progress else True,
        ):
            # Where the row itself is damaged, the rest would only repeat it.
            if contents.id not in concerned:
                damages += _adapter_damages(rows, adapters[contents.id], contents, splits)
    failed: dict[int, set[str]] = {}
    for damage in damages:
        for row_id in damage.adapters:
            failed.setdefault(row_id, set()).add(damage.check)
    checked = tuple(
        Checked(**{**vars(adapter), "failed": frozenset(failed.get(row_id, ()))})
        for row_id, adapter in adapters.items()
    )
    return Integrity(tuple(_findings(damages, adapters)), checked)


def _findings(damages: Collection[_Damage], adapters: Mapping[int, Checked]) -> Iterator[Finding]:
    """Give a finding for each adapter that a damage concerns, or one for the bank if for none."""
    for damage in damages:
        for row_id in damage.adapters:
            adapter = adapters[row_id]
            yield Finding(adapter.task, adapter.version, damage.check, damage.message)
        if not damage.adapters:
            yield Finding(None, None, damage.check, damage.message)


def _adapters(rows: RawRows, chosen: Collection[tuple[str, int | None]]) -> dict[int, Checked]:
    """Return the adapters to check, by the ids of their rows."""
    retired = {
        (row.values.get("task_id"), row.values.get("version"))
        for row in rows.tables["retirements"].values()
    }
    adapters = {}
    for row_id, stored in rows.tables["adapters"].items():
        row = stored.values
        task = rows.tables["tasks"].get(row["task_id"])
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


def _trigger_damages(rows: RawRows) -> Iterator[_Damage]:
    for trigger in rows.missing_triggers:
        message = f"trigger {trigger!r} is missing or switched off: {RESTORE}"
        yield _Damage((), "triggers", message)


def _row_damages(rows: RawRows, adapters: Mapping[int, Checked]) -> Iterator[_Damage]:
    for table in rows.tables:
        parent = {"tasks": "task_id", "backbones": "backbone_id", "adapters": "id"}.get(table)
        for row_id, damage in rows.damages(table):
            concerned = tuple(
                adapter_id
                for adapter_id in adapters
                if parent and rows.tables["adapters"][adapter_id].values[parent] == row_id
            )
            yield _Damage(concerned, "row", f"{damage}: {RESTORE}")


def _verification_damages(rows: RawRows) -> Iterator[_Damage]:
    # A row that is damaged itself was found already.
    damaged = dict(rows.damages("verifications"))
    sound = [row_id for row_id in rows.tables["verifications"] if row_id not in damaged]
    for contents in rows.contents("verifications", sound):
        for damage in contents.damages:
            yield _Damage((), "contents", f"{damage}: {RESTORE}")


def _loose_blob_damages(rows: RawRows) -> Iterator[_Damage]:
    """Check the blobs that belong to no adapter: of trials, observations and acceptances."""
    there = set(rows.tables["adapters"])
    seen: set[str] = set()
    for table in ("trials", "observations", "acceptances"):
        for row_id, row in rows.tables[table].items():
            digest = row.values.get("digest")
            # The blobs of an adapter that gc deleted are gone with it.
            gone = "adapter_id" in row.values and row.values["adapter_id"] not in there
            if digest is None or digest in seen or gone:
                continue
            seen.add(digest)
            try:
                rows.read_blob(digest)
            except TaskbankError as error:
                message = f"the blob of row {row_id} of table {table!r} cannot be read: {error}"
                yield _Damage((), "weights" if table == "trials" else "predictions", message)


def _adapter_damages(
    rows: RawRows, adapter: Checked, contents: Contents, splits: SeenSplits
) -> Iterator[_Damage]:
    own = (contents.id,)
    row = rows.tables["adapters"][contents.id].values
    found = [_Damage(own, "contents", f"{damage}: {RESTORE}") for damage in contents.damages]
    for parent, column in (("tasks", "task_id"), ("backbones", "backbone_id")):
        if row[column] not in rows.tables[parent]:
            found.append(_Damage(own, "row", f"its row of table {parent!r} is missing: {RESTORE}"))
    yield from found
    if found or adapter.retired:
        return
    kind: Kind = plugins.load("kinds", rows.tables["tasks"][row["task_id"]].values["kind"])
    predictions = contents.rows["predictions"]
    for check, message in bytes_damage(rows.read_blob, row, predictions, kind, splits):
        yield _Damage(own, check, f"{message}: {RESTORE}")
