"""The integrity check: compares everything stored with what was recorded.

Every row is checked against its seal, every blob against its digest, every tensor against its
shape. The check changes nothing and continues after each finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.byte_checks import ByteChecks
from taskbank.bank.raw_rows import Contents, RawRows
from taskbank.bank.records import Head, parents_of, verified_split
from taskbank.errors import ResourceError, TaskbankError
from taskbank.runtime.resources import translate_lack
from taskbank.verify.contents import SplitCache, bytes_damage, split_cache
from taskbank.verify.report import Finding, Status
from taskbank.verify.subject import Subject

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

FROM_COPY = "restore the bank from a copy"
RESTORE = f"{FROM_COPY}, or remove the task and add it again"
ADAPTERS = "adapters"
UNREADABLE = -1  # stands for the version of an adapter whose version cannot be read


@dataclass(frozen=True, slots=True)
class AdapterIntegrity:
    """The outcome of the integrity check for one adapter.

    Attributes:
        task: the task's name, as currently stored.
        version: the adapter's version.
        metric: the task's own metric; None if it cannot be read.
        score: the metric's recorded value; None if it cannot be read or is not finite.
        retired: whether the adapter is retired; if so, only its rows are checked.
        failed: names of the checks that found damage.
        checked: whether it was checked before the check was interrupted.
    """

    task: str
    version: int
    metric: str | None
    score: float | None
    retired: bool
    failed: frozenset[str] = frozenset()
    checked: bool = True

    @property
    def intact(self) -> bool:
        """Whether the adapter is in use and was checked without finding damage."""
        return self.checked and not (self.failed or self.retired)

    @property
    def status(self) -> Status:
        """The adapter's status according to this check alone."""
        if self.failed == {"gone"}:
            return "unverifiable"
        if self.failed:
            return "damaged"
        return "ok" if self.checked else "unchecked"


@dataclass(frozen=True)
class Integrity:
    """The result of an integrity check.

    Attributes:
        findings: all findings, in order.
        adapters: all adapters to check.
        subjects: the adapters in use that were checked and are intact.
        head: the newest head of the chain, if the whole bank was checked.
        expected: number of the chain's entry with the expected head, if there is one.
        interrupted: the failure of the database or the blob store that ended the check early.
        unread: number of adapters whose bytes were not read, as their store lists them as before.
    """

    findings: tuple[Finding, ...]
    adapters: tuple[AdapterIntegrity, ...]
    subjects: tuple[Subject, ...] = ()
    head: Head | None = None
    expected: int | None = None
    interrupted: str | None = None
    unread: int = 0


class _Damage(NamedTuple):
    """A difference from what was recorded, and the row ids of the adapters that it affects."""

    adapters: tuple[int, ...]
    check: str
    message: str


def check_integrity(
    bank: Bank,
    chosen: Collection[tuple[str, int | None]] = (),
    *,
    expect: str | None = None,
    rely: bool = False,
    record: bool = True,
    progress: bool = False,
) -> Integrity:
    """Check everything stored against what was recorded.

    Args:
        bank: an open bank.
        chosen: tasks and versions of the adapters to check; a version of None means every version
            of the task. Empty means the whole bank, including verifications and other rows that
            belong to no single task.
        expect: a head that the chain must contain; for the whole bank only.
        rely: whether to leave out the bytes of files that an object store lists as it did when
            their bytes were last read and found intact.
        record: whether to record for that purpose which bytes are intact.
        progress: whether to show a progress bar if the error stream is a terminal.
    """
    adapters: dict[int, AdapterIntegrity] = {}
    damages: list[_Damage] = []
    unchecked: set[int] = set()
    subjects: list[Subject] = []
    interrupted = walk = None
    unread = 0
    try:
        names = {name for name, _ in chosen}
        with (
            translate_lack(),
            bank.raw_rows(names, expect=expect) as rows,
            bank.byte_checks(rows, rely=rely, record=record) as checks,
        ):
            adapters = _select_adapters(rows, chosen)
            unchecked = set(adapters)
            for damage in _shared_damages(rows, adapters, expect, checks):
                damages.append(damage)
            walk = rows.walk
            concerned = {row_id for damage in damages for row_id in damage.adapters}
            # If the row itself is damaged, further findings would only repeat the damage.
            unchecked -= concerned
            splits = split_cache()
            for contents in tqdm(
                rows.contents(sorted(unchecked)),
                total=len(unchecked),
                desc="checking",
                unit="adapter",
                disable=None if progress else True,
            ):
                row_id = contents.row["id"]
                adapter = adapters[row_id]
                before = len(damages)
                for damage in _adapter_damages(rows, adapter, contents, splits, checks):
                    damages.append(damage)  # at once: the next one may meet a failure
                unchecked.discard(row_id)
                if len(damages) == before and not adapter.retired:
                    subjects.append(_subject(rows, adapter, contents))
            unread = checks.skipped[ADAPTERS]
    except ResourceError as error:  # what was found so far counts, and nothing else is damaged
        interrupted = str(error)
    failed: dict[int, set[str]] = {}
    for damage in damages:
        for row_id in damage.adapters:
            failed.setdefault(row_id, set()).add(damage.check)
    checked = tuple(
        replace(
            adapter,
            failed=frozenset(failed.get(row_id, ())),
            checked=row_id not in unchecked,
        )
        for row_id, adapter in adapters.items()
    )
    return Integrity(
        tuple(_findings(damages, adapters)),
        checked,
        tuple(subjects),
        walk.head if walk else None,
        walk.expected if walk else None,
        interrupted,
        unread,
    )


def _shared_damages(
    rows: RawRows,
    adapters: Mapping[int, AdapterIntegrity],
    expect: str | None,
    checks: ByteChecks,
) -> Iterator[_Damage]:
    """Yield the damage that is found without reading each adapter's bytes."""
    yield from _schema_damages(rows)
    yield from _row_damages(rows, adapters)
    yield from _chain_damages(rows, adapters, expect)
    for damage in rows.verification_damages():
        yield _Damage((), "contents", f"{damage}: {RESTORE}")
    yield from _loose_blob_damages(rows, checks)


def _findings(
    damages: Collection[_Damage], adapters: Mapping[int, AdapterIntegrity]
) -> Iterator[Finding]:
    """Yield one finding per affected adapter, or one for the bank if no adapter is affected."""
    for damage in damages:
        for row_id in damage.adapters:
            adapter = adapters[row_id]
            yield Finding(adapter.task, adapter.version, damage.check, damage.message)
        if not damage.adapters:
            yield Finding(None, None, damage.check, damage.message)


def _select_adapters(
    rows: RawRows, chosen: Collection[tuple[str, int | None]]
) -> dict[int, AdapterIntegrity]:
    """Return the adapters to check, by row id."""
    retired = {
        (row.values.get("task_id"), row.values.get("version")) for row in rows.rows("retirements")
    }
    adapters = {}
    for stored in rows.rows(ADAPTERS):
        row = stored.values
        task_id, version, score = row.get("task_id"), row.get("version"), row.get("score")
        task = rows.tasks.get(task_id) if task_id is not None else None
        name = task.name if task else None
        name = f"(task {task_id})" if name is None else name
        if not chosen or (name, None) in chosen or (name, version) in chosen:
            adapters[row["id"]] = AdapterIntegrity(
                name,
                UNREADABLE if version is None else version,
                row.get("metric"),
                score if isinstance(score, float) and isfinite(score) else None,
                retired=(task_id, version) in retired,
            )
    return adapters


def _schema_damages(rows: RawRows) -> Iterator[_Damage]:
    for check, damage in rows.schema_damages():
        yield _Damage((), check, f"{damage}: {FROM_COPY}")


def _chain_damages(
    rows: RawRows, adapters: Mapping[int, AdapterIntegrity], expect: str | None
) -> Iterator[_Damage]:
    if rows.walk is None:
        return
    for table, ids, damage in rows.walk.damages:
        concerned = _concerned(rows, adapters, table, ids)
        yield _Damage(concerned, "chain", f"{damage}: {FROM_COPY}")
    if expect is not None and rows.walk.expected is None:
        message = (
            f"the chain has no entry with the expected head {expect}: entries were removed or "
            "rewritten since that head was printed, or it was printed for another bank"
        )
        yield _Damage((), "chain", f"{message}: {FROM_COPY}")


def _row_damages(rows: RawRows, adapters: Mapping[int, AdapterIntegrity]) -> Iterator[_Damage]:
    for table in rows.tables:
        for row_id, damage in rows.damages[table].items():
            concerned = _concerned(rows, adapters, table, (row_id,))
            yield _Damage(concerned, "row", f"{damage}: {RESTORE}")


def _concerned(
    rows: RawRows,
    adapters: Mapping[int, AdapterIntegrity],
    table: str | None,
    row_ids: Collection[int],
) -> tuple[int, ...]:
    """Return the ids of the adapters that consist of or refer to the given rows of a table."""
    if table is None or not row_ids:
        return ()
    return tuple(sorted(adapters.keys() & set(rows.adapters_of(table, row_ids))))


def _loose_blob_damages(rows: RawRows, checks: ByteChecks) -> Iterator[_Damage]:
    """Check the blobs of trials, observations and acceptances, which belong to no adapter."""
    read: dict[str, bool] = {}  # whether a blob is intact
    for table in ("trials", "observations", "acceptances"):
        for row in rows.rows(table):
            row_id, digest = row.values["id"], row.values.get("digest")
            adapter = row.values.get("adapter_id")
            # When gc deleted an adapter, it also deleted these blobs.
            collected = "adapter_id" in row.values and adapter not in rows.tables[ADAPTERS]
            if digest is None or collected:
                continue
            damaged = row_id in rows.damages[table]
            state = None if damaged else checks.state([row.values["seal"]], [digest])
            if digest not in read:
                if checks.skips(table, row_id, state):
                    continue
                try:
                    rows.read_blob(digest)
                except ResourceError:
                    raise
                except TaskbankError as error:
                    message = f"the blob of row {row_id} of table {table!r} cannot be read: {error}"
                    yield _Damage((), "weights" if table == "trials" else "predictions", message)
                    read[digest] = False
                else:
                    read[digest] = True
            if read[digest]:
                checks.record(table, row_id, state)


def _adapter_damages(
    rows: RawRows,
    adapter: AdapterIntegrity,
    contents: Contents,
    splits: SplitCache,
    checks: ByteChecks,
) -> Iterator[_Damage]:
    row = contents.row
    row_id = row["id"]
    found = [_Damage((row_id,), "contents", f"{damage}: {RESTORE}") for damage in contents.damages]
    for parent, column in (("tasks", "task_id"), ("backbones", "backbone_id")):
        if row[column] not in rows.tables[parent]:
            message = f"its row of table {parent!r} is missing: {RESTORE}"
            found.append(_Damage((row_id,), "row", message))
    yield from found
    if found or adapter.retired:
        return
    for message in _parents_damage(rows, row):
        yield _Damage((row_id,), "parents", f"{message}: {FROM_COPY}")
    state = _state(contents, checks)
    if checks.skips(ADAPTERS, row_id, state):
        return
    kind: Kind = plugins.load("kinds", rows.tasks[row["task_id"]].kind or "")
    intact = True
    for check, message in bytes_damage(rows.read_blob, row, contents.splits, kind, splits):
        intact = False
        yield _Damage((row_id,), check, f"{message}: {RESTORE}")
    if intact:
        checks.record(ADAPTERS, row_id, state)


def _subject(rows: RawRows, adapter: AdapterIntegrity, contents: Contents) -> Subject:
    row = contents.row
    return Subject(
        row["id"],
        adapter.task,
        adapter.version,
        rows.fingerprints[row["backbone_id"]],
        row["metric"],
        row["score"],
        verified_split(row["split"]),
        sum(split["rows"] for split in contents.splits),
    )


def _state(contents: Contents, checks: ByteChecks) -> str | None:
    """Return the state of an adapter; None if the store says too little of its files."""
    row = contents.row
    digests = {row["digest"], row["row_digests"], row["kept_rows"]} - {None}
    for split in contents.splits:
        digests |= {split["split_digest"], split["digest"]}
    return checks.state([row["seal"], *(split["seal"] for split in contents.scored)], digests)


def _parents_damage(rows: RawRows, row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts the parents of an adapter: a version of that name with other bytes.

    A parent that was removed contradicts nothing. An adapter that was imported, and so has no
    request, or was copied names the versions of another bank.
    """
    if row["request"] is None or row["id"] in rows.copied_adapters:
        return
    for parent in parents_of(row["course"] or {}):
        found = rows.digest_of(parent.ref)
        if found not in (None, parent.digest):
            yield (
                f"it was made from {parent.ref} with the weights {parent.digest}, but the bank's "
                f"{parent.ref} has {found}"
            )
