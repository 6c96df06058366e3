"""Copies backbones, versions with what was recorded with them, further splits, and trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, select, tuple_

from taskbank.bank.catalog.checked_rows import check_rows, checked_rows
from taskbank.bank.catalog.copying.part import (
    Part,
    Row,
    adapter_ids,
    id_of_backbone,
    ids_of_adapters,
    ids_of_table,
    load_rows,
    own_columns,
    rows_by_id,
    splits_of,
)
from taskbank.bank.catalog.copying.selection import Number
from taskbank.bank.catalog.rows import (
    Children,
    child_rows,
    chunks,
    family_of,
    insert_children,
    insert_once,
    insert_row,
    table_of,
)
from taskbank.bank.catalog.tables import (
    CHILDREN,
    AdapterRow,
    BackboneRow,
    RetirementRow,
    ScoredSplitRow,
    SplitRow,
    TaskRow,
    TokenizerSettingsRow,
    TrialRow,
)
from taskbank.bank.catalog.task_lock import lock_task
from taskbank.bank.new_records import check_split_name
from taskbank.checks import check_name
from taskbank.errors import ConflictError


@dataclass(frozen=True)
class StoredBackbone:
    """A backbone's row, and the one of its tokenizer's settings if it has one."""

    row: Row
    settings: Row | None


class Backbones(Part[StoredBackbone]):
    """The backbones of what is copied; all of them with the whole bank."""

    what = "backbones"

    def ids(self) -> Sequence[int]:
        """Return the ids of the backbones."""
        if self.selection.whole:
            return ids_of_table(self.source, BackboneRow)
        found: set[int] = set()
        versions = [one.id for one in self.selection.chosen().values() if one.id is not None]
        for ids in chunks(versions):
            query = select(AdapterRow.backbone_id).where(AdapterRow.id.in_(ids)).distinct()
            found |= set(self.source.execute(query).scalars())
        for names in chunks(list(self.selection.names)):
            trials = and_(TrialRow.task.in_(names), TrialRow.created_at >= self.selection.since)
            of_trials = select(TrialRow.backbone_id).where(trials).distinct()
            found |= set(self.source.execute(of_trials).scalars())
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[StoredBackbone]:
        """Return backbones with the settings of their tokenizers."""
        column = table_of(TokenizerSettingsRow).c.backbone_id
        query = select(TokenizerSettingsRow.__table__).where(column.in_(ids))
        found = checked_rows(self.source, TokenizerSettingsRow, query)
        settings = {row["backbone_id"]: row for row in found}
        rows = load_rows(self.source, BackboneRow, ids)
        return [StoredBackbone(row, settings.get(row["id"])) for row in rows]

    def absent(self, target: Connection, items: Sequence[StoredBackbone]) -> list[StoredBackbone]:
        """Return those that are not there, or there without their settings."""
        query = select(BackboneRow.fingerprint, TokenizerSettingsRow.id).join(
            TokenizerSettingsRow, isouter=True
        )
        there = {fingerprint: settings for fingerprint, settings in target.execute(query)}
        return [
            item
            for item in items
            if item.row["fingerprint"] not in there
            or (item.settings is not None and there[item.row["fingerprint"]] is None)
        ]

    def insert(self, target: Connection, item: StoredBackbone) -> None:
        """Record a backbone and its settings."""
        backbone_id, _ = insert_once(target, BackboneRow, "fingerprint", own_columns(item.row))
        if item.settings is not None:
            settings = own_columns(item.settings) | {"backbone_id": backbone_id}
            insert_once(target, TokenizerSettingsRow, "backbone_id", settings)


@dataclass(frozen=True)
class StoredVersion:
    """A version with every row that was recorded with it.

    Attributes:
        name: its task's name in the target.
        row: its own row.
        task: the row of its task.
        backbone: the fingerprint of its backbone.
        children: its child rows by table.
        splits: the rows of its splits.
        retirement: the row of its retirement; None if it is in use.
    """

    name: str
    row: Row
    task: Row
    backbone: str
    children: Mapping[str, Sequence[Row]]
    splits: Sequence[Row]
    retirement: Row | None


class Versions(Part[StoredVersion]):
    """Versions with their tags, metrics, predictions and splits, and their retirement."""

    what = "versions"
    size = 20

    def ids(self) -> Sequence[int]:
        """Return the ids of the versions that gc has not destroyed."""
        chosen = self.selection.chosen().values()
        return sorted(version.id for version in chosen if version.id is not None)

    def load(self, ids: Sequence[int]) -> list[StoredVersion]:
        """Return versions with their rows."""
        table = table_of(AdapterRow)
        query = select(table).where(table.c.id.in_(ids)).order_by(table.c.id)
        rows = [dict(row) for row in self.source.execute(query).mappings()]
        children = child_rows(self.source, ids)
        check_rows(AdapterRow, rows, children)
        tasks = rows_by_id(self.source, TaskRow, {row["task_id"] for row in rows})
        backbones = rows_by_id(self.source, BackboneRow, {row["backbone_id"] for row in rows})
        splits = self._splits(children)
        for predictions in children["predictions"].values():
            for one in predictions:
                check_name(one["split"], "split name")  # the bank may be another's
        retired = self._retirements(list(tasks))
        return [
            StoredVersion(
                name=self.selection.names[tasks[row["task_id"]]["name"]],
                row=row,
                task=tasks[row["task_id"]],
                backbone=backbones[row["backbone_id"]]["fingerprint"],
                children=(family := family_of(children, row["id"])),
                splits=[splits[one["split_digest"]] for one in family["predictions"]],
                retirement=retired.get((row["task_id"], row["version"])),
            )
            for row in rows
        ]

    def _splits(self, children: Children) -> dict[str, Row]:
        digests = {row["split_digest"] for own in children["predictions"].values() for row in own}
        return splits_of(self.source, digests)

    def _retirements(self, tasks: Sequence[int]) -> dict[tuple[int, int], Row]:
        query = select(RetirementRow.__table__).where(RetirementRow.task_id.in_(tasks))
        found = checked_rows(self.source, RetirementRow, query)
        return {(row["task_id"], row["version"]): row for row in found}

    def absent(self, target: Connection, items: Sequence[StoredVersion]) -> list[StoredVersion]:
        """Return those that were never recorded there."""
        names = {item.name for item in items}
        there: dict[Number, str] = {}
        for row in (AdapterRow, RetirementRow):
            query = select(TaskRow.name, row.version, row.digest).join(
                row, row.task_id == TaskRow.id
            )
            for name, number, digest in target.execute(query.where(TaskRow.name.in_(names))):
                there[name, number] = digest
        for item in items:
            _check_same(item, there.get((item.name, item.row["version"])))
        return [item for item in items if (item.name, item.row["version"]) not in there]

    def digests(self, item: StoredVersion) -> Iterator[str]:
        """Yield the digests of the weights, the splits, the predictions and the training rows."""
        names = ("digest", "row_digests", "kept_rows")
        yield from (item.row[name] for name in names if item.row[name] is not None)
        for predictions in item.children["predictions"]:
            yield predictions["split_digest"]
            yield predictions["digest"]

    def insert(self, target: Connection, item: StoredVersion) -> None:
        """Record a version."""
        task = own_columns(item.task) | {"name": item.name}
        task_id, created = insert_once(target, TaskRow, "name", task)
        lock_task(target, task_id)
        if not created:
            same = and_(AdapterRow.task_id == task_id, AdapterRow.version == item.row["version"])
            _check_same(item, target.execute(select(AdapterRow.digest).where(same)).scalar())
            kind = target.execute(select(TaskRow.kind).where(TaskRow.id == task_id)).scalar()
            if kind != item.task["kind"]:
                raise _added_meanwhile(item.name)
        for split in item.splits:
            insert_once(target, SplitRow, "digest", own_columns(split))
        own = {"task_id": task_id, "backbone_id": id_of_backbone(target, item.backbone)}
        adapter_id = insert_row(target, AdapterRow, own_columns(item.row) | own)
        children = {
            table: [own_columns(row, "adapter_id") for row in rows]
            for table, rows in item.children.items()
        }
        insert_children(target, AdapterRow, {adapter_id: children}, CHILDREN)
        if item.retirement is not None:
            insert_row(target, RetirementRow, own_columns(item.retirement) | {"task_id": task_id})

    def name(self, item: StoredVersion) -> str:
        """Return the version's full name in the source."""
        return f"{item.task['name']}@{item.row['version']}"


def _check_same(item: StoredVersion, digest: str | None) -> None:
    if digest not in (None, item.row["digest"]):
        raise _added_meanwhile(f"{item.name}@{item.row['version']}")


def _added_meanwhile(ref: str) -> ConflictError:
    return ConflictError(
        f"another {ref} was added there in the meantime: run the command again, which says how to "
        "solve it; what was copied so far stays"
    )


@dataclass(frozen=True)
class StoredScore:
    """The row of a further split of a version, with the version's name, and the split's own row."""

    version: Number
    row: Row
    split: Row


class ScoredSplits(Part[StoredScore]):
    """Further splits of versions, with their predictions and metrics."""

    what = "scored splits"

    def ids(self) -> Sequence[int]:
        """Return the ids of the further splits."""
        return ids_of_adapters(self.source, ScoredSplitRow, self.numbers)

    def load(self, ids: Sequence[int]) -> list[StoredScore]:
        """Return further splits."""
        rows = load_rows(self.source, ScoredSplitRow, ids)
        splits = splits_of(self.source, {row["split_digest"] for row in rows})
        for row in rows:
            check_split_name(row["split"])
        return [
            StoredScore(self.numbers[row["adapter_id"]], row, splits[row["split_digest"]])
            for row in rows
        ]

    def absent(self, target: Connection, items: Sequence[StoredScore]) -> list[StoredScore]:
        """Return those whose name is not taken there."""
        ids = adapter_ids(target, {self.renamed(item.version) for item in items})
        query = select(
            ScoredSplitRow.adapter_id,
            ScoredSplitRow.split,
            ScoredSplitRow.split_digest,
            ScoredSplitRow.digest,
        ).where(ScoredSplitRow.adapter_id.in_(ids.values()))
        there = {(own, split.lower()): tuple(rest) for own, split, *rest in target.execute(query)}
        lacking = []
        for item in items:
            adapter_id = ids.get(self.renamed(item.version))
            if adapter_id is None:  # gc has destroyed the version there
                continue
            found = there.get((adapter_id, item.row["split"].lower()))
            if found is None:
                row = {**item.row, "adapter_id": adapter_id}
                lacking.append(StoredScore(item.version, row, item.split))
            elif found != (item.row["split_digest"], item.row["digest"]):
                name, number = self.renamed(item.version)
                self.kept[f"{name}@{number} has another split {item.row['split']!r} there"] = None
        return lacking

    def digests(self, item: StoredScore) -> Iterator[str]:
        """Yield the digests of the examples and of the predictions."""
        yield item.row["split_digest"]
        yield item.row["digest"]

    def insert(self, target: Connection, item: StoredScore) -> None:
        """Record a further split."""
        insert_once(target, SplitRow, "digest", own_columns(item.split))
        insert_row(target, ScoredSplitRow, own_columns(item.row))

    def name(self, item: StoredScore) -> str:
        """Return the names of the version and of the split."""
        return f"split {item.row['split']!r} of {item.version[0]}@{item.version[1]}"


class Trials(Part[Row]):
    """Trials, with their weights if these were kept."""

    what = "trials"
    size = 20

    def ids(self) -> Sequence[int]:
        """Return the ids of the trials of the tasks."""
        found: list[int] = []
        for chunk in chunks(list(self.selection.names)):
            wanted = and_(TrialRow.task.in_(chunk), TrialRow.created_at >= self.selection.since)
            found += self.source.execute(select(TrialRow.id).where(wanted)).scalars()
        return sorted(found)

    def load(self, ids: Sequence[int]) -> list[Row]:
        """Return trials, each with the fingerprint of its backbone in place of the id."""
        rows = load_rows(self.source, TrialRow, ids)
        backbones = rows_by_id(self.source, BackboneRow, {row["backbone_id"] for row in rows})
        return [
            {
                **row,
                "backbone_id": backbones[row["backbone_id"]]["fingerprint"],
                "task": self.selection.names[row["task"]],
            }
            for row in rows
        ]

    def absent(self, target: Connection, items: Sequence[Row]) -> list[Row]:
        """Return those that are not there."""
        key = (TrialRow.task, TrialRow.specification, TrialRow.created_at)
        wanted = [tuple(item[column.key] for column in key) for item in items]
        query = select(*key).where(tuple_(*key).in_(wanted))
        there = {tuple(row) for row in target.execute(query)}
        return [item for item, own in zip(items, wanted, strict=True) if own not in there]

    def digests(self, item: Row) -> Iterator[str]:
        """Yield the digest of the weights, if they were kept."""
        if item["digest"] is not None:
            yield item["digest"]

    def insert(self, target: Connection, item: Row) -> None:
        """Record a trial."""
        own = {"backbone_id": id_of_backbone(target, item["backbone_id"])}
        insert_row(target, TrialRow, own_columns(item) | own)

    def name(self, item: Row) -> str:
        """Return which trial it is."""
        return f"a trial of {item['task']} of {item['created_at']}"
