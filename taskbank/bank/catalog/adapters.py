"""Backbones, adapters, aliases and trials: every question and change. Knows nothing of torch.

A method that changes something takes the connection of a `writing` transaction, so that
the caller decides what belongs together; one that only reads opens its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, delete, func, insert, select

from taskbank.bank.catalog.database import reading
from taskbank.bank.catalog.raw_rows import sealed_rows, stored_damage
from taskbank.bank.catalog.rows import child_rows, insert_once, insert_row, now, parts, table_of
from taskbank.bank.catalog.seals import children_damage, contents, row_damage
from taskbank.bank.catalog.tables import (
    CHILDREN,
    AcceptanceRow,
    AdapterRow,
    AliasRow,
    BackboneRow,
    BankRow,
    Base,
    GcPermitRow,
    ObservationRow,
    PredictionRow,
    RetirementRow,
    SplitRow,
    TaskRow,
    TrialRow,
)
from taskbank.bank.new_records import NewAdapter, NewTrial
from taskbank.bank.record_list import Records
from taskbank.bank.records import (
    AdapterRecord,
    AliasRecord,
    BackboneRecord,
    MetricRecord,
    SplitRecord,
    TrialRecord,
)
from taskbank.checks import check_alias, check_name
from taskbank.digests import Json, digest_bytes
from taskbank.errors import ConflictError, DamagedError, NotFoundError
from taskbank.specs import BackboneIdentity

# Over adapters outer-joined with their retirement. The column is one that they are joined by, from
# which PostgreSQL sees that it may leave rows out before it joins the rest.
IN_USE = RetirementRow.version.is_(None)


class Catalog:
    """The tables of one bank.

    Args:
        engine: of a bank whose schema was checked.
        read_blob: gives a blob's checked bytes by digest, for the records handed out.
    """

    def __init__(self, engine: Engine, read_blob: Callable[[str], bytes]) -> None:
        self.engine = engine
        self.read_blob = read_blob

    # The bank and its backbones

    def create(self, connection: Connection, blobs: str, created_with: str) -> None:
        """Record the bank itself, once, right after its tables were made."""
        insert_row(
            connection,
            BankRow,
            {
                "uuid": str(uuid4()),
                "blobs": blobs,
                "created_at": now(),
                "created_with": created_with,
            },
        )

    def bank(self) -> Mapping[str, Any]:
        """Return the row of the bank itself.

        Raises:
            DamagedError: if it is missing, or is not what was recorded.
        """
        with reading(self.engine) as connection:
            (stored, *_) = [*sealed_rows(connection, BankRow), None]
        if stored is None:
            raise DamagedError("the bank's own row is missing: restore the bank from a copy")
        damage = stored_damage(BankRow.__tablename__, stored)
        if damage:
            raise DamagedError(f"{damage}: restore the bank from a copy")
        return stored.values

    def add_backbone(self, connection: Connection, identity: BackboneIdentity) -> int:
        """Record a backbone unless its fingerprint is there already; return its row's id."""
        values = vars(identity) | {"fingerprint": identity.fingerprint, "created_at": now()}
        return insert_once(connection, BackboneRow, "fingerprint", values)[0]

    def backbones(self) -> tuple[BackboneRecord, ...]:
        """Return every recorded backbone, oldest first."""
        with reading(self.engine) as connection:
            rows = connection.execute(
                select(BackboneRow.__table__).order_by(BackboneRow.id)
            ).mappings()
            return tuple(_backbone(row) for row in rows)

    # Adapters

    def add_adapter(
        self, connection: Connection, new: NewAdapter, *, new_version: bool
    ) -> AdapterRecord:
        """Record an adapter with everything that belongs to it; its blobs must be stored already.

        Raises:
            ConflictError: if the task is there and no new version was asked for, or is of
                another kind.
        """
        task_id = self._task(connection, new.task, new.kind, new_version=new_version)
        version = 1 + max(
            connection.execute(select(func.max(row.version)).where(row.task_id == task_id)).scalar()
            or 0
            for row in (AdapterRow, RetirementRow)
        )
        backbone_id = self.add_backbone(connection, new.backbone)
        children = children_of(new)
        adapter_id = insert_row(
            connection, AdapterRow, adapter_values(new, task_id, version, backbone_id, children)
        )
        for split in new.splits:
            self._split(connection, digest_bytes(split.examples), split.rows, len(split.examples))
        for name, rows in children.items():
            if rows:
                table = CHILDREN[name][0]
                connection.execute(
                    insert(table), [row | {"adapter_id": adapter_id} for row in rows]
                )
        return self._records(connection, AdapterRow.id == adapter_id)[0]

    def _task(self, connection: Connection, name: str, kind: str, *, new_version: bool) -> int:
        values = {"name": check_name(name, "task name"), "kind": kind, "created_at": now()}
        task_id, made = insert_once(connection, TaskRow, "name", values)
        # The row is locked, so that two new versions of one task get numbers in turn.
        found = connection.execute(
            select(TaskRow.kind).where(TaskRow.id == task_id).with_for_update()
        ).scalar_one()
        if not made:
            check_addable(name, kind, found, new_version=new_version)
        return task_id

    def _split(self, connection: Connection, digest: str, rows: int, size: int) -> None:
        values = {"digest": digest, "rows": rows, "bytes": size, "created_at": now()}
        insert_once(connection, SplitRow, "digest", values)

    def kind_of(self, task: str) -> str | None:
        """Return the kind of a task, or none if there is no such task."""
        with reading(self.engine) as connection:
            query = select(TaskRow.kind).where(TaskRow.name == task)
            return connection.execute(query).scalar()

    def adapters(
        self,
        condition: ColumnElement[bool] | None = None,
        *,
        retired: bool = False,
        newest: int | None = None,
    ) -> Records:
        """Return the adapters for which a condition holds, oldest first.

        Args:
            condition: over the tables of adapters, tasks and backbones; none means all.
            retired: also those out of use.
            newest: at most so many, the latest.
        """
        with reading(self.engine) as connection:
            return self._records(connection, condition, retired=retired, newest=newest)

    def count(self) -> int:
        """Return how many adapters are in use."""
        # Counted apart, each is a look into an index; together, every adapter would be looked up.
        recorded = select(func.count()).select_from(AdapterRow)
        # gc destroys adapters, and leaves their retirements.
        retired = (
            select(func.count()).select_from(RetirementRow).join(AdapterRow, _retires_adapter())
        )
        query = select(recorded.scalar_subquery() - retired.scalar_subquery())
        with reading(self.engine) as connection:
            return int(connection.execute(query).scalar_one())

    def adapter(self, ref: str) -> AdapterRecord:
        """Return one adapter.

        Args:
            ref: `NAME` (the newest in use), `NAME@VERSION` or `NAME@ALIAS`.

        Raises:
            NotFoundError: if there is no such task, version or alias.
            DamagedError: if a row of the adapter is not what was recorded.
        """
        name, version = self.resolve(ref)
        wanted = and_(TaskRow.name == name, AdapterRow.version == version)
        with reading(self.engine) as connection:
            found = self._records(connection, wanted, retired=True)
            if not found:
                raise NotFoundError(
                    f"{name}@{version} was destroyed by gc: its number stays unused"
                )
            self._check(connection, wanted)
        return found[0]

    def _check(self, connection: Connection, wanted: ColumnElement[bool]) -> None:
        ids = (
            _adapters_query()
            .where(wanted)
            .with_only_columns(AdapterRow.id, TaskRow.id, BackboneRow.id)
        )
        adapter_id, task_id, backbone_id = connection.execute(ids).one()
        tables: tuple[tuple[type[Base], int], ...] = (
            (TaskRow, task_id),
            (BackboneRow, backbone_id),
            (AdapterRow, adapter_id),
        )
        for model, row_id in tables:
            table = table_of(model)
            row = connection.execute(select(table).where(table.c.id == row_id)).mappings().one()
            damage = row_damage(table.name, row)
            if model is AdapterRow and damage is None:
                children = child_rows(connection, [adapter_id])
                damage = next(iter(children_damage(row, children)), None)
            if damage:
                raise DamagedError(f"{damage}: restore the bank from a copy, then run verify-all")

    def resolve(self, ref: str) -> tuple[str, int]:
        """Return the task name and version that a reference means.

        Raises:
            NotFoundError: if there is no such task, version or alias.
        """
        name, at, which = ref.partition("@")
        with reading(self.engine) as connection:
            task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == name)).scalar()
            if task_id is None:
                raise NotFoundError(
                    f"the bank has no task {name!r}: taskbank list shows what is there"
                )
            if at and which.isdecimal():
                if len(which) > 9:  # more than the databases' integers hold
                    raise NotFoundError(f"task {name!r} has no version {which}: {_see(name)}")
                known = [
                    connection.execute(
                        select(row.id).where(row.task_id == task_id, row.version == int(which))
                    ).scalar()
                    for row in (AdapterRow, RetirementRow)
                ]
                if not any(known):
                    raise NotFoundError(f"task {name!r} has no version {which}: {_see(name)}")
                return name, int(which)
            if at:
                return name, self._aliased(connection, name, task_id, which)
            newest = connection.execute(
                select(func.max(AdapterRow.version))
                .select_from(AdapterRow)
                .outerjoin(RetirementRow, _retires_adapter())
                .where(AdapterRow.task_id == task_id, IN_USE)
            ).scalar()
        if newest is None:
            raise NotFoundError(f"every version of {name!r} is retired: {_see(name)}")
        return name, int(newest)

    def _aliased(self, connection: Connection, name: str, task_id: int, alias: str) -> int:
        latest = connection.execute(
            select(AliasRow.version)
            .where(AliasRow.task_id == task_id, AliasRow.name == alias)
            .order_by(AliasRow.id.desc())
            .limit(1)
        ).scalar()
        if latest is None:
            raise NotFoundError(f"task {name!r} has no alias {alias!r}: {_see(name)}")
        return int(latest)

    def _records(
        self,
        connection: Connection,
        condition: ColumnElement[bool] | None = None,
        *,
        retired: bool = False,
        newest: int | None = None,
    ) -> Records:
        query = _adapters_query()
        if condition is not None:
            query = query.where(condition)
        if not retired:
            query = query.where(IN_USE)
        if newest is not None:
            query = query.order_by(None).order_by(AdapterRow.id.desc()).limit(newest)
        rows = connection.execute(query).mappings().all()
        ids = [row["id"] for row in rows]
        children = child_rows(connection, ids)
        accepted = _accepted(connection, ids)
        records = [self._record(row, children, accepted) for row in rows]
        return Records(records if newest is None else reversed(records))

    def _record(
        self,
        row: Mapping[Any, Any],
        children: Mapping[str, Mapping[int, list[Mapping[str, Any]]]],
        accepted: Mapping[tuple[int, str], tuple[str, int]],
    ) -> AdapterRecord:
        own = row["id"]
        return AdapterRecord(
            task=row["task"],
            version=row["version"],
            kind=row["kind"],
            method=row["method"],
            metric=row["metric"],
            score=row["score"],
            split=row["split"],
            parameters=row["parameters"],
            bytes=row["bytes"],
            digest=row["digest"],
            backbone=row["backbone"],
            created_at=row["created_at"],
            options=row["options"],
            training=row["training"],
            labels=tuple(row["labels"]),
            settings=row["settings"],
            description=row["description"],
            environment=row["environment"],
            tags={tag["key"]: tag["value"] for tag in children["tags"].get(own, [])},
            metrics=tuple(
                MetricRecord(m["split"], m["name"], m["value"], m["standard_error"], m["count"])
                for m in children["metrics"].get(own, [])
            ),
            splits=tuple(
                _split_record(p, accepted.get((own, p["split"])))
                for p in children["predictions"].get(own, [])
            ),
            retired=row["retirement"] is not None,
            id=own,
            read_blob=self.read_blob,
        )

    # Aliases, retirement, garbage

    def set_alias(self, connection: Connection, task: str, alias: str, version: int | None) -> None:
        """Let an alias name a version from now on, or nothing; the step is kept in its history.

        Raises:
            InputError: if the alias is not a usable name.
            ConflictError: if the version is retired.
        """
        check_alias(alias)
        task_id = connection.execute(
            select(TaskRow.id).where(TaskRow.name == task).with_for_update()
        ).scalar_one()
        if version is not None and _is_retired(connection, task_id, version):
            raise ConflictError(f"{task}@{version} is retired: name a version in use; {_see(task)}")
        values = {"task_id": task_id, "name": alias, "version": version, "set_at": now()}
        insert_row(connection, AliasRow, values)

    def aliases(self, task: str) -> tuple[AliasRecord, ...]:
        """Return every step in the history of a task's aliases, oldest first."""
        query = (
            select(AliasRow.name, AliasRow.version, AliasRow.set_at)
            .join(TaskRow, TaskRow.id == AliasRow.task_id)
            .where(TaskRow.name == task)
            .order_by(AliasRow.id)
        )
        with reading(self.engine) as connection:
            return tuple(AliasRecord(task, *row) for row in connection.execute(query))

    def retire(self, connection: Connection, record: AdapterRecord) -> None:
        """Put an adapter out of use.

        Raises:
            ConflictError: if it is retired already, or an alias names it.
        """
        task_id = connection.execute(
            select(TaskRow.id).where(TaskRow.name == record.task).with_for_update()
        ).scalar_one()
        if _is_retired(connection, task_id, record.version):
            raise ConflictError(f"{record.ref} is retired already")
        latest = select(func.max(AliasRow.id)).where(AliasRow.task_id == task_id)
        naming = connection.execute(
            select(AliasRow.name)
            .where(AliasRow.id.in_(latest.group_by(AliasRow.name)))
            .where(AliasRow.version == record.version)
            .order_by(AliasRow.name)
        ).scalars()
        for alias in naming:
            raise ConflictError(
                f"{record.ref} is what the alias {alias!r} names: move it first with "
                f"taskbank alias {record.task}@VERSION {alias}, or drop it with "
                f"taskbank alias {record.task} {alias} --drop"
            )
        values = {
            "task_id": task_id,
            "version": record.version,
            "digest": record.digest,
            "retired_at": now(),
        }
        insert_row(connection, RetirementRow, values)

    def delete_retired(self, connection: Connection) -> None:
        """Delete the rows of every retired adapter, and splits that no adapter has any more."""
        ids = connection.execute(
            select(AdapterRow.id).join(RetirementRow, _retires_adapter())
        ).scalars()
        for adapter_id in ids.all():
            connection.execute(insert(GcPermitRow), {"adapter_id": adapter_id})
            for table, parent in CHILDREN.values():
                connection.execute(delete(table).where(getattr(table, parent) == adapter_id))
            connection.execute(delete(AdapterRow).where(AdapterRow.id == adapter_id))
        connection.execute(delete(GcPermitRow))
        in_use = select(PredictionRow.split_digest)
        connection.execute(delete(SplitRow).where(SplitRow.digest.not_in(in_use)))

    def digests_in_use(self, connection: Connection, *, retired: bool = True) -> set[str]:
        """Return the digest of every blob that some row needs.

        Args:
            connection: the transaction to look in.
            retired: count the needs of retired adapters too.
        """
        adapters = select(AdapterRow.digest).select_from(AdapterRow)
        predictions = select(PredictionRow.digest, PredictionRow.split_digest).join(
            AdapterRow, AdapterRow.id == PredictionRow.adapter_id
        )
        if not retired:
            adapters = adapters.outerjoin(RetirementRow, _retires_adapter()).where(IN_USE)
            predictions = predictions.outerjoin(RetirementRow, _retires_adapter()).where(IN_USE)
        found = set(connection.execute(adapters).scalars())
        for logits, split in connection.execute(predictions):
            found |= {logits, split}
        for table in (ObservationRow, AcceptanceRow):
            seen = select(table.digest).join(AdapterRow, AdapterRow.id == table.adapter_id)
            if not retired:
                seen = seen.outerjoin(RetirementRow, _retires_adapter()).where(IN_USE)
            found |= set(connection.execute(seen).scalars())
        kept = select(TrialRow.digest).where(TrialRow.digest.is_not(None))
        return found | {digest for digest in connection.execute(kept).scalars() if digest}

    # Trials

    def add_trial(self, connection: Connection, new: NewTrial) -> None:
        """Record one training of a task; its weights, if kept, must be stored already."""
        names = ("task", "kind", "specification", "status", "metric", "score", "parameters")
        values = {name: getattr(new, name) for name in names} | {
            "backbone_id": self.add_backbone(connection, new.backbone),
            "method": new.method.name,
            "options": dict(new.method.options),
            "training": new.training.to_json(),
            "data": dict(new.data),
            "labels": list(new.definition.labels),
            "settings": dict(new.definition.settings),
            "metrics": [dict(vars(measured)) for measured in new.metrics],
            "digest": None if new.weights is None else digest_bytes(new.weights),
            "environment": dict(new.environment),
            "created_at": now(),
        }
        insert_row(connection, TrialRow, values)

    def trials(self, task: str | None = None) -> tuple[TrialRecord, ...]:
        """Return the trainings of one task or of all, oldest first.

        Raises:
            DamagedError: if a row is not what was recorded.
        """
        table = table_of(TrialRow)
        query = select(table, BackboneRow.fingerprint.label("backbone")).join(
            BackboneRow, BackboneRow.id == TrialRow.backbone_id
        )
        if task is not None:
            query = query.where(TrialRow.task == task)
        found: dict[tuple[str, str], TrialRecord] = {}
        with reading(self.engine) as connection:
            for row in connection.execute(query.order_by(TrialRow.id)).mappings():
                damage = row_damage(table.name, {c.name: row[c.name] for c in table.columns})
                if damage:
                    raise DamagedError(f"{damage}: restore the bank from a copy")
                found[row["task"], row["specification"]] = self._trial(row)
        return tuple(found.values())

    def _trial(self, row: Mapping[Any, Any]) -> TrialRecord:
        changed: dict[str, Any] = {
            "labels": tuple(row["labels"]),
            "metrics": tuple(MetricRecord(**measured) for measured in row["metrics"]),
            "read_blob": self.read_blob,
        }
        names = set(TrialRecord.__dataclass_fields__) - changed.keys()
        return TrialRecord(**{name: row[name] for name in names}, **changed)


def check_addable(name: str, kind: str, existing: str | None, *, new_version: bool) -> None:
    """Raise unless an adapter of a kind may be added under a name.

    Args:
        name: the task.
        kind: of the adapter to be added.
        existing: the kind of the task in the bank, or none if it is not there.
        new_version: whether a new version was asked for.

    Raises:
        ConflictError: if the task is there and no new version was asked for, or is of
            another kind.
    """
    if existing is None:
        return
    if not new_version:
        raise ConflictError(
            f"the bank already has a task {name!r}: add a version to it with --new-version, "
            f"or choose another name; {_see(name)}"
        )
    if existing != kind:
        raise ConflictError(
            f"task {name!r} is of kind {existing!r}, not {kind!r}: give the new kind another name"
        )


def adapter_values(
    new: NewAdapter,
    task_id: int,
    version: int,
    backbone_id: int,
    children: Mapping[str, Sequence[Mapping[str, Json]]],
) -> dict[str, Any]:
    """Return the columns of an adapter's row, but for its seal.

    Args:
        new: the adapter.
        task_id: its task's row.
        version: its number.
        backbone_id: its backbone's row.
        children: the rows that belong to it, as `children_of` gives them.
    """
    return {
        "task_id": task_id,
        "version": version,
        "backbone_id": backbone_id,
        "method": new.method.name,
        "options": dict(new.method.options),
        "options_digest": new.method.digest,
        "training": new.training.to_json(),
        "training_digest": new.training.digest,
        "labels": list(new.definition.labels),
        "settings": dict(new.definition.settings),
        "description": new.description,
        "metric": new.metric,
        "score": new.score,
        "split": new.split,
        "parameters": new.parameters,
        "bytes": len(new.weights),
        "digest": digest_bytes(new.weights),
        "environment": dict(new.environment),
        "created_at": now(),
        "contents": {name: contents(rows, "adapter_id") for name, rows in children.items()},
    }


def children_of(new: NewAdapter) -> dict[str, list[dict[str, Json]]]:
    """Return the rows that belong to an adapter's, by table, without the id of its own."""
    return {
        "tags": [{"key": key, "value": value} for key, value in sorted(new.tags.items())],
        "metrics": [dict(vars(measured)) for measured in new.metrics],
        "predictions": [
            {
                "split": split.name,
                "origin": split.origin,
                "split_digest": digest_bytes(split.examples),
                "digest": digest_bytes(split.logits),
                "rows": split.rows,
                "canary": list(split.canary) or None,
            }
            for split in new.splits
        ],
    }


def _retires_adapter() -> ColumnElement[bool]:
    return and_(
        RetirementRow.task_id == AdapterRow.task_id, RetirementRow.version == AdapterRow.version
    )


def _is_retired(connection: Connection, task_id: int, version: int) -> bool:
    query = select(RetirementRow.id).where(
        RetirementRow.task_id == task_id, RetirementRow.version == version
    )
    return connection.execute(query).scalar() is not None


def _adapters_query() -> Select[Any]:
    return (
        select(
            AdapterRow.__table__,
            TaskRow.name.label("task"),
            TaskRow.kind.label("kind"),
            BackboneRow.fingerprint.label("backbone"),
            RetirementRow.id.label("retirement"),
        )
        .join(TaskRow, TaskRow.id == AdapterRow.task_id)
        .join(BackboneRow, BackboneRow.id == AdapterRow.backbone_id)
        .outerjoin(RetirementRow, _retires_adapter())
        .order_by(AdapterRow.id)
    )


def _split_record(row: Mapping[str, Any], accepted: tuple[str, int] | None) -> SplitRecord:
    reference, verification = accepted or (row["digest"], None)
    return SplitRecord(
        row["split"],
        row["origin"],
        row["rows"],
        row["split_digest"],
        row["digest"],
        reference,
        tuple(row["canary"] or ()),
        verification,
    )


def _accepted(
    connection: Connection, adapters: Sequence[int]
) -> dict[tuple[int, str], tuple[str, int]]:
    """Return the reference that was accepted last, and for which verification, by split."""
    query = select(
        AcceptanceRow.adapter_id,
        AcceptanceRow.split,
        AcceptanceRow.digest,
        AcceptanceRow.verification_id,
    ).order_by(AcceptanceRow.id)
    return {
        (adapter, split): (digest, verification)
        for part in parts(adapters)
        for adapter, split, digest, verification in connection.execute(
            query.where(AcceptanceRow.adapter_id.in_(part))
        )
    }


def _backbone(row: Mapping[Any, Any]) -> BackboneRecord:
    names = BackboneIdentity.__dataclass_fields__
    identity = BackboneIdentity(**{name: row[name] for name in names})
    return BackboneRecord(identity, row["fingerprint"], row["created_at"])


def _see(name: str) -> str:
    return f"taskbank query 'task = \"{name}\"' shows what is there"
