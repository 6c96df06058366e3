"""Copies verifications: their runs, what they observed, and their results and findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from taskbank.bank.catalog.checked_rows import check_rows
from taskbank.bank.catalog.copying.part import (
    Part,
    Row,
    adapter_ids,
    ids_of_adapters,
    ids_of_table,
    load_rows,
    own_columns,
    rows_by_id,
)
from taskbank.bank.catalog.copying.selection import Number
from taskbank.bank.catalog.rows import (
    child_rows,
    chunks,
    insert_children,
    insert_row,
    table_of,
)
from taskbank.bank.catalog.seals import contents
from taskbank.bank.catalog.tables import (
    VERIFICATION_CHILDREN,
    ObservationRow,
    ResultRow,
    RunRow,
    VerificationRow,
)
from taskbank.checks import NAME
from taskbank.digests import canonical_json


class Runs(Part[Row]):
    """Verifications that started to predict."""

    what = "runs"

    def ids(self) -> Sequence[int]:
        """Return the ids of the runs in which something was observed of the versions."""
        if self.selection.whole:
            return ids_of_table(self.source, RunRow)
        found: set[int] = set()
        for chunk in chunks(list(self.numbers)):
            query = select(ObservationRow.run_id).where(ObservationRow.adapter_id.in_(chunk))
            found |= set(self.source.execute(query.distinct()).scalars())
        verifications = Verifications(self.source, self.selection, self.there).ids()
        for chunk in chunks(verifications):
            of_verifications = select(VerificationRow.run_id).where(VerificationRow.id.in_(chunk))
            runs = self.source.execute(of_verifications).scalars()
            found |= {run for run in runs if run is not None}
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[Row]:
        """Return runs."""
        return [
            {**row, "tasks": [*self._copied(row["tasks"])]}
            for row in load_rows(self.source, RunRow, ids)
        ]

    def _copied(self, refs: Sequence[str]) -> Iterator[str]:
        """Yield the references to tasks that are copied, by their names in the target."""
        for ref in refs:
            name, at, which = ref.partition("@")
            if self.selection.whole or name in self.selection.names:
                yield f"{self.selection.names.get(name, name)}{at}{which}"

    def absent(self, target: Connection, items: Sequence[Row]) -> list[Row]:
        """Return those that are not there."""
        there = run_ids(target, items)
        return [item for item in items if _run_key(item) not in there]

    def insert(self, target: Connection, item: Row) -> None:
        """Record a run."""
        insert_row(target, RunRow, own_columns(item))


def _run_key(row: Row) -> Hashable:
    return row["level"], row["started_at"], canonical_json(row["environment"])


def run_ids(target: Connection, runs: Sequence[Row]) -> dict[Hashable, int]:
    """Return the ids of the runs that are in the target, by what tells them apart."""
    starts = {run["started_at"] for run in runs}
    query = select(RunRow.__table__).where(RunRow.started_at.in_(starts))
    return {_run_key(row): row["id"] for row in target.execute(query).mappings()}


@dataclass(frozen=True)
class StoredObservation:
    """The row of an observation, with its version's name and its run's row."""

    version: Number
    run: Row
    row: Row


class Observations(Part[StoredObservation]):
    """What verifications observed of versions."""

    what = "observations"

    def ids(self) -> Sequence[int]:
        """Return the ids of the observations of the versions."""
        return ids_of_adapters(self.source, ObservationRow, self.numbers)

    def load(self, ids: Sequence[int]) -> list[StoredObservation]:
        """Return observations."""
        rows = load_rows(self.source, ObservationRow, ids)
        runs = rows_by_id(self.source, RunRow, {row["run_id"] for row in rows})
        return [
            StoredObservation(self.numbers[row["adapter_id"]], runs[row["run_id"]], row)
            for row in rows
        ]

    def absent(
        self, target: Connection, items: Sequence[StoredObservation]
    ) -> list[StoredObservation]:
        """Return those that are not there, with the ids of their runs and versions there."""
        runs = run_ids(target, [item.run for item in items])
        adapters = adapter_ids(target, {self.renamed(item.version) for item in items})
        ready = [
            replace(item, row={**item.row, "run_id": run_id, "adapter_id": adapter_id})
            for item in items
            if (run_id := runs.get(_run_key(item.run))) is not None
            and (adapter_id := adapters.get(self.renamed(item.version))) is not None
        ]
        key = ("run_id", "adapter_id", "split", "circumstances", "observed_at", "digest")
        columns = [table_of(ObservationRow).c[name] for name in key]
        query = select(*columns).where(
            ObservationRow.run_id.in_(set(runs.values())),
            ObservationRow.adapter_id.in_(set(adapters.values())),
        )
        there = {tuple(row) for row in target.execute(query)}
        return [item for item in ready if tuple(item.row[name] for name in key) not in there]

    def digests(self, item: StoredObservation) -> Iterator[str]:
        """Yield the digest of the predictions."""
        yield item.row["digest"]

    def insert(self, target: Connection, item: StoredObservation) -> None:
        """Record an observation."""
        insert_row(target, ObservationRow, own_columns(item.row))

    def name(self, item: StoredObservation) -> str:
        """Return what was observed."""
        name, number = item.version
        return f"what a verification predicted of {name}@{number} on {item.row['split']}"


@dataclass(frozen=True)
class StoredVerification:
    """A verification with its run, and its results and findings about what is copied."""

    row: Row
    run: Row | None
    results: Sequence[Row]
    findings: Sequence[Row]


class Verifications(Part[StoredVerification]):
    """Finished verifications: their verdict as it was, and their results of what is copied.

    A verification is never changed. So the results of versions that are copied later are recorded
    as a further verification of the same time, verdict and environment.
    """

    what = "verifications"
    size = 5

    def ids(self) -> Sequence[int]:
        """Return the ids of the verifications, or of those with results of the versions."""
        if self.selection.whole:
            return ids_of_table(self.source, VerificationRow)
        found: set[int] = set()
        for chunk in chunks(list(self.selection.tasks)):
            query = select(ResultRow.verification_id, ResultRow.task, ResultRow.version)
            of_tasks = query.where(ResultRow.task.in_(chunk))
            for verification, task, version in self.source.execute(of_tasks):
                if (task, version) in self.there:
                    found.add(verification)
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[StoredVerification]:
        """Return verifications."""
        table = table_of(VerificationRow)
        query = select(table).where(table.c.id.in_(ids)).order_by(table.c.id)
        rows = [dict(row) for row in self.source.execute(query).mappings()]
        children = child_rows(self.source, ids, VERIFICATION_CHILDREN)
        check_rows(VerificationRow, rows, children)
        runs = rows_by_id(self.source, RunRow, {row["run_id"] for row in rows} - {None})
        return [
            StoredVerification(
                row,
                runs.get(row["run_id"]),
                self._about_copied(children["results"].get(row["id"], [])),
                self._about_copied(children["findings"].get(row["id"], [])),
            )
            for row in rows
        ]

    def _about_copied(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows about the whole bank or about what is copied, with the names there."""
        names = self.selection.names
        return [
            {**row, "task": names.get(row["task"], row["task"])}
            for row in rows
            if (row["task"], row["version"]) in self.there
            or row["task"] is None
            # What a verification could not read has no name or version that anything else has.
            or (self.selection.whole and not NAME.fullmatch(row["task"]))
            or (row["task"] in names and (row["version"] is None or row["version"] < 1))
        ]

    def absent(
        self, target: Connection, items: Sequence[StoredVerification]
    ) -> list[StoredVerification]:
        """Return those that are not there, or the rest of those that are there in part."""
        there = verification_ids(target, [item.row for item in items])
        ids = [number for numbers in there.values() for number in numbers]
        query = select(ResultRow.verification_id, ResultRow.task, ResultRow.version)
        known: dict[int, set[Number]] = defaultdict(set)
        for verification, task, version in target.execute(
            query.where(ResultRow.verification_id.in_(ids))
        ):
            known[verification].add((task, version))
        runs = run_ids(target, [item.run for item in items if item.run is not None])
        lacking = []
        for item in items:
            run_id = None if item.run is None else runs[_run_key(item.run)]
            own = replace(item, row={**item.row, "run_id": run_id})
            numbers = there.get(verification_key(item.row))
            if numbers is None:
                lacking.append(own)
                continue
            have = {number for verification in numbers for number in known[verification]}
            rest = [row for row in item.results if (row["task"], row["version"]) not in have]
            about = {(row["task"], row["version"]) for row in rest}
            if rest:
                findings = [row for row in item.findings if (row["task"], row["version"]) in about]
                lacking.append(replace(own, results=rest, findings=findings))
        return lacking

    def insert(self, target: Connection, item: StoredVerification) -> None:
        """Record a verification."""
        children = {
            "results": [own_columns(row, "verification_id") for row in item.results],
            "findings": [own_columns(row, "verification_id") for row in item.findings],
        }
        of_children = {name: contents(rows, "verification_id") for name, rows in children.items()}
        row = own_columns(item.row) | {"contents": of_children}
        verification_id = insert_row(target, VerificationRow, row)
        insert_children(target, VerificationRow, {verification_id: children}, VERIFICATION_CHILDREN)


def verification_key(row: Row) -> Hashable:
    """Return what tells a verification from others, in any bank."""
    return row["level"], row["started_at"], row["finished_at"]


def verification_ids(target: Connection, rows: Sequence[Row]) -> dict[Hashable, list[int]]:
    """Return the ids of the verifications that are in the target, by what tells them apart."""
    starts = {row["started_at"] for row in rows}
    query = select(VerificationRow.__table__).where(VerificationRow.started_at.in_(starts))
    found: dict[Hashable, list[int]] = defaultdict(list)
    for row in target.execute(query.order_by(VerificationRow.id)).mappings():
        found[verification_key(row)].append(row["id"])
    return dict(found)
