"""Copies what people decided: aliases, tolerances, accepted predictions and retirements.

Of several decisions about the same thing the last one counts. So what the target has decided is
continued, or it stays; nothing is recorded in between.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Connection, select

from taskbank.bank.catalog.aliases import read_current_aliases
from taskbank.bank.catalog.checked_rows import checked_rows
from taskbank.bank.catalog.copying.part import (
    Part,
    Row,
    adapter_ids,
    load_rows,
    lock_tasks,
    own_columns,
    rows_by_id,
    task_ids,
)
from taskbank.bank.catalog.copying.selection import Number
from taskbank.bank.catalog.copying.verifications import verification_ids, verification_key
from taskbank.bank.catalog.retirement import is_retired
from taskbank.bank.catalog.rows import chunks, insert_once, insert_row
from taskbank.bank.catalog.tables import (
    AcceptanceRow,
    AliasRow,
    ResultRow,
    RetirementRow,
    TaskRow,
    ToleranceRow,
    VerificationRow,
)
from taskbank.checks import check_alias


@dataclass(frozen=True)
class StoredHistory:
    """Decisions about one thing, of which the last one counts.

    Attributes:
        version: the task, and the version if it is about one; else 0.
        about: the name of the alias or of the split, if it is about one.
        events: their rows, oldest first.
    """

    version: Number
    about: str
    events: Sequence[Row]


class Histories(Part[StoredHistory]):
    """Decisions that follow each other: what is there is continued, and nothing goes in between.

    If the target has decided otherwise since, its decision stays.
    """

    key: ClassVar[tuple[str, ...]]  # the columns that tell events apart

    @abstractmethod
    def there_by(
        self, target: Connection, items: Sequence[StoredHistory]
    ) -> Mapping[tuple[Number, str], Sequence[Row]]:
        """Return the events that the target has, oldest first, by version there and thing."""

    def absent(self, target: Connection, items: Sequence[StoredHistory]) -> list[StoredHistory]:
        """Return the events that continue what is there."""
        there = self.there_by(target, items)
        lacking = []
        for item in items:
            ours = [self._identity(event) for event in item.events]
            theirs = [
                self._identity(event)
                for event in there.get((self.renamed(item.version), item.about), ())
            ]
            if theirs and theirs[-1] not in ours:
                if ours and ours[-1] not in theirs:
                    self.kept[self.remark(item)] = None
                continue
            start = ours.index(theirs[-1]) + 1 if theirs else 0
            if rest := item.events[start:]:
                lacking.append(replace(item, events=rest))
        return lacking

    def _identity(self, event: Row) -> tuple[Any, ...]:
        return tuple(event[name] for name in self.key)

    @abstractmethod
    def remark(self, item: StoredHistory) -> str:
        """Return that the target has decided otherwise."""


class OfTasks(Histories):
    """Decisions about tasks."""

    table: ClassVar[type[AliasRow] | type[ToleranceRow]]

    def ids(self) -> Sequence[int]:
        """Return the ids of the tasks that have any."""
        found: list[int] = []
        for chunk in chunks(list(self.selection.tasks)):
            query = select(TaskRow.id).join(self.table, self.table.task_id == TaskRow.id)
            found += self.source.execute(query.where(TaskRow.name.in_(chunk)).distinct()).scalars()
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[StoredHistory]:
        """Return the decisions about tasks."""
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for event in self._events(self.source, TaskRow.id.in_(ids)):
            if event.get("version") is None or (event["task"], event["version"]) in self.there:
                about = event.get("name", "")
                if about:
                    check_alias(about)  # the bank may be another's
                found[event["task"], about].append(event)
        return [StoredHistory((task, 0), about, rows) for (task, about), rows in found.items()]

    def _events(self, connection: Connection, condition: ColumnElement[bool]) -> list[Row]:
        query = (
            select(self.table.__table__, TaskRow.name.label("task"))
            .join(TaskRow, TaskRow.id == self.table.task_id)
            .where(condition)
            .order_by(self.table.id)
        )
        return checked_rows(connection, self.table, query)

    def there_by(
        self, target: Connection, items: Sequence[StoredHistory]
    ) -> Mapping[tuple[Number, str], Sequence[Row]]:
        """Return the decisions about the tasks that the target has."""
        names = {self.renamed(item.version)[0] for item in items}
        found: dict[tuple[Number, str], list[Row]] = defaultdict(list)
        for event in self._events(target, TaskRow.name.in_(names)):
            found[(event["task"], 0), event.get("name", "")].append(event)
        return found

    def lock(self, target: Connection, items: Sequence[StoredHistory]) -> None:
        """Wait for others who change the tasks."""
        lock_tasks(target, {self.renamed(item.version)[0] for item in items})

    def absent(self, target: Connection, items: Sequence[StoredHistory]) -> list[StoredHistory]:
        """Return the decisions that continue what is there, about tasks that are there."""
        ids = task_ids(target, {self.renamed(item.version)[0] for item in items})
        there = [item for item in items if self.renamed(item.version)[0] in ids]
        return [
            replace(item, events=[{**event, "task_id": task_id} for event in item.events])
            for item in super().absent(target, there)
            for task_id in [ids[self.renamed(item.version)[0]]]
        ]

    def insert(self, target: Connection, item: StoredHistory) -> None:
        """Record the decisions."""
        for event in item.events:
            insert_row(target, self.table, own_columns(event, "task"))


class Aliases(OfTasks):
    """The histories of aliases."""

    what = "aliases"
    table = AliasRow
    key = ("version", "set_at")

    def absent(self, target: Connection, items: Sequence[StoredHistory]) -> list[StoredHistory]:
        """Return the changes that continue what is there and end at a version in use."""
        lacking = []
        for item in super().absent(target, items):
            last = item.events[-1]
            if last["version"] is not None and is_retired(target, last["task_id"], last["version"]):
                self.kept[self.remark(item)] = None
            else:
                lacking.append(item)
        return lacking

    def remark(self, item: StoredHistory) -> str:
        """Return that the alias was moved otherwise there."""
        ours = item.events[-1]["version"]
        name, _ = self.renamed(item.version)
        here = "is dropped" if ours is None else f"points at version {ours}"
        return f"the alias {name}@{item.about} {here} here, and was moved otherwise there"


class Tolerances(OfTasks):
    """The histories of tolerances."""

    what = "tolerances"
    table = ToleranceRow
    key = ("tolerance", "set_at")

    def remark(self, item: StoredHistory) -> str:
        """Return that the tolerance was set otherwise there."""
        name, _ = self.renamed(item.version)
        return f"the tolerance of {name} was set otherwise there"


class Acceptances(Histories):
    """Predictions that were accepted as the reference of a version's split."""

    what = "acceptances"
    key = ("digest", "accepted_at")

    def ids(self) -> Sequence[int]:
        """Return the ids of the versions that have any."""
        found: set[int] = set()
        for chunk in chunks(list(self.numbers)):
            query = select(AcceptanceRow.adapter_id).where(AcceptanceRow.adapter_id.in_(chunk))
            found |= set(self.source.execute(query.distinct()).scalars())
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[StoredHistory]:
        """Return acceptances, each with the row of its verification in place of the id."""
        rows = self._events(self.source, ids)
        verifications = rows_by_id(
            self.source, VerificationRow, {row["verification_id"] for row in rows}
        )
        found: dict[tuple[Number, str], list[Row]] = defaultdict(list)
        for row in rows:
            event = {**row, "verification_id": verifications[row["verification_id"]]}
            found[self.numbers[row["adapter_id"]], row["split"]].append(event)
        return [StoredHistory(number, split, own) for (number, split), own in found.items()]

    def _events(self, connection: Connection, adapters: Collection[int]) -> list[Row]:
        query = select(AcceptanceRow.__table__).where(AcceptanceRow.adapter_id.in_(adapters))
        return checked_rows(connection, AcceptanceRow, query.order_by(AcceptanceRow.id))

    def there_by(
        self, target: Connection, items: Sequence[StoredHistory]
    ) -> Mapping[tuple[Number, str], Sequence[Row]]:
        """Return the acceptances of the versions that the target has."""
        ids = adapter_ids(target, {self.renamed(item.version) for item in items})
        numbers = {adapter_id: number for number, adapter_id in ids.items()}
        found: dict[tuple[Number, str], list[Row]] = defaultdict(list)
        for row in self._events(target, numbers):
            found[numbers[row["adapter_id"]], row["split"]].append(row)
        return found

    def absent(self, target: Connection, items: Sequence[StoredHistory]) -> list[StoredHistory]:
        """Return the acceptances that continue what is there, with the ids that they get."""
        lacking = super().absent(target, items)
        adapters = adapter_ids(target, {self.renamed(item.version) for item in lacking})
        rows = [event["verification_id"] for item in lacking for event in item.events]
        verifications = verification_ids(target, rows)
        ready = []
        for item in lacking:
            number = self.renamed(item.version)
            if number not in adapters:  # gc has destroyed the version there
                continue
            events = []
            for event in item.events:
                found = verifications.get(verification_key(event["verification_id"]))
                if found is None:
                    name = f"{number[0]}@{number[1]}"
                    self.kept[
                        f"an acceptance of {name} stays out: its verification is not there"
                    ] = None
                    break
                own = {
                    "adapter_id": adapters[number],
                    "verification_id": _with_result(target, found, number),
                }
                events.append({**event, **own})
            if events:
                ready.append(replace(item, events=events))
        return ready

    def digests(self, item: StoredHistory) -> Iterator[str]:
        """Yield the digests of the accepted predictions."""
        yield from (event["digest"] for event in item.events)

    def insert(self, target: Connection, item: StoredHistory) -> None:
        """Record the acceptances."""
        for event in item.events:
            insert_row(target, AcceptanceRow, own_columns(event))

    def remark(self, item: StoredHistory) -> str:
        """Return that other predictions were accepted there."""
        name, number = self.renamed(item.version)
        return f"other predictions of {name}@{number} on {item.about} were accepted there"

    def name(self, item: StoredHistory) -> str:
        """Return what was accepted."""
        name, number = item.version
        return f"the accepted predictions of {name}@{number} on {item.about}"


@dataclass(frozen=True)
class StoredRetirement:
    """The row of a retirement, with the version's name and the row of its task."""

    version: Number
    row: Row
    task: Row


class Retirements(Part[StoredRetirement]):
    """Retirements of versions that are there, and of those that gc has destroyed."""

    what = "retirements"

    def ids(self) -> Sequence[int]:
        """Return the ids of the retirements."""
        found: list[int] = []
        for chunk in chunks(list(self.selection.tasks)):
            query = select(RetirementRow.id).join(TaskRow, TaskRow.id == RetirementRow.task_id)
            found += self.source.execute(query.where(TaskRow.name.in_(chunk))).scalars()
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[StoredRetirement]:
        """Return retirements of versions that are there by now."""
        rows = load_rows(self.source, RetirementRow, ids)
        tasks = rows_by_id(self.source, TaskRow, {row["task_id"] for row in rows})
        found = [
            StoredRetirement((task["name"], row["version"]), row, task)
            for row in rows
            for task in [tasks[row["task_id"]]]
        ]
        return [item for item in found if item.version in self.there]

    def lock(self, target: Connection, items: Sequence[StoredRetirement]) -> None:
        """Wait for others who change the tasks."""
        lock_tasks(target, {self.renamed(item.version)[0] for item in items})

    def absent(
        self, target: Connection, items: Sequence[StoredRetirement]
    ) -> list[StoredRetirement]:
        """Return those that are not there, unless an alias there points at the version."""
        names = {self.renamed(item.version)[0] for item in items}
        of_names = select(TaskRow.name, RetirementRow.version).join(
            RetirementRow, RetirementRow.task_id == TaskRow.id
        )
        there = {tuple(row) for row in target.execute(of_names.where(TaskRow.name.in_(names)))}
        lacking = [item for item in items if self.renamed(item.version) not in there]
        if self.selection.since:  # a task of which nothing else is copied stays away as a whole
            known = task_ids(target, names)
            lacking = [item for item in lacking if self.renamed(item.version)[0] in known]
        aliases = read_current_aliases(target, list(names)) if lacking else {}
        ready = []
        for item in lacking:
            name, number = self.renamed(item.version)
            pointing = [a for a, version in aliases.get(name, {}).items() if version == number]
            if pointing:
                self.kept[
                    f"{name}@{number} is retired here; there, the alias {pointing[0]!r} points at "
                    "it"
                ] = None
            else:
                ready.append(item)
        return ready

    def insert(self, target: Connection, item: StoredRetirement) -> None:
        """Record a retirement, and the task if nothing else of it is left."""
        task = own_columns(item.task) | {"name": self.renamed(item.version)[0]}
        task_id, _ = insert_once(target, TaskRow, "name", task)
        insert_row(target, RetirementRow, own_columns(item.row) | {"task_id": task_id})


def _with_result(target: Connection, verifications: Sequence[int], number: Number) -> int:
    """Return which of the parts of a verification has the result of a version."""
    query = select(ResultRow.verification_id).where(
        ResultRow.verification_id.in_(verifications),
        ResultRow.task == number[0],
        ResultRow.version == number[1],
    )
    return int(target.execute(query).scalars().first() or verifications[0])
