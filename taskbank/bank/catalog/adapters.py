"""Adapters: recorded whole, found by name, version, alias or condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, select

from taskbank.bank.catalog.aliases import SEE, aliased_version
from taskbank.bank.catalog.backbones import add_backbone
from taskbank.bank.catalog.retirement import IN_USE, retires_adapter
from taskbank.bank.catalog.rows import (
    child_rows,
    course_of,
    insert_once,
    insert_row,
    parts,
    table_of,
)
from taskbank.bank.catalog.seals import children_damage, contents, row_damage
from taskbank.bank.catalog.tables import (
    CHILDREN,
    AcceptanceRow,
    AdapterRow,
    BackboneRow,
    Base,
    RetirementRow,
    SplitRow,
    TaskRow,
)
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.record_list import Records
from taskbank.bank.records import (
    AdapterRecord,
    MetricRecord,
    SplitRecord,
)
from taskbank.checks import check_name
from taskbank.digests import Json, digest_bytes
from taskbank.errors import ConflictError, DamagedError, NotFoundError
from taskbank.runtime.clock import now


def add_adapter(connection: Connection, new: NewAdapter, *, new_version: bool) -> AdapterRecord:
    """Record an adapter with everything that belongs to it; its blobs must be stored already.

    Raises:
        ConflictError: if the task is there and no new version was asked for, or is of
            another kind.
    """
    task_id = _task(connection, new.task, new.kind, new_version=new_version)
    version = 1 + max(
        connection.execute(select(func.max(row.version)).where(row.task_id == task_id)).scalar()
        or 0
        for row in (AdapterRow, RetirementRow)
    )
    backbone_id = add_backbone(connection, new.backbone)
    children = children_of(new)
    adapter_id = insert_row(
        connection, AdapterRow, adapter_values(new, task_id, version, backbone_id, children)
    )
    for split in new.splits:
        _split(connection, digest_bytes(split.examples), split.rows, len(split.examples))
    for name, rows in children.items():
        if rows:
            table = CHILDREN[name][0]
            connection.execute(insert(table), [row | {"adapter_id": adapter_id} for row in rows])
    return read_adapters(connection, AdapterRow.id == adapter_id)[0]


def _task(connection: Connection, name: str, kind: str, *, new_version: bool) -> int:
    values = {"name": check_name(name, "task name"), "kind": kind, "created_at": now()}
    task_id, made = insert_once(connection, TaskRow, "name", values)
    # The row is locked, so that two new versions of one task get numbers in turn.
    found = connection.execute(
        select(TaskRow.kind).where(TaskRow.id == task_id).with_for_update()
    ).scalar_one()
    if not made:
        check_addable(name, kind, found, new_version=new_version)
    return task_id


def _split(connection: Connection, digest: str, rows: int, size: int) -> None:
    values = {"digest": digest, "rows": rows, "bytes": size, "created_at": now()}
    insert_once(connection, SplitRow, "digest", values)


def kind_of(connection: Connection, task: str) -> str | None:
    """Return the kind of a task; none if there is no such task."""
    return connection.execute(select(TaskRow.kind).where(TaskRow.name == task)).scalar()


def read_adapters(
    connection: Connection,
    condition: ColumnElement[bool] | None = None,
    *,
    retired: bool = False,
    newest: int | None = None,
) -> Records:
    """Return the adapters for which a condition holds, oldest first.

    Args:
        connection: the transaction to read in.
        condition: over the tables of adapters, tasks and backbones; none means all.
        retired: also those out of use.
        newest: only so many, the latest.
    """
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
    records = [_record(row, children, accepted) for row in rows]
    return Records(records if newest is None else reversed(records))


def count_adapters(connection: Connection) -> int:
    """Return how many adapters are in use."""
    # Counted apart, each is an index lookup; together, every adapter would be looked up.
    recorded = select(func.count()).select_from(AdapterRow)
    # gc deletes adapters, and leaves their retirements.
    retired = select(func.count()).select_from(RetirementRow).join(AdapterRow, retires_adapter())
    query = select(recorded.scalar_subquery() - retired.scalar_subquery())
    return int(connection.execute(query).scalar_one())


def read_adapter(connection: Connection, ref: str) -> AdapterRecord:
    """Return one adapter, its rows checked against their seals.

    Args:
        connection: the transaction to read in.
        ref: `NAME` (the newest in use), `NAME@VERSION` or `NAME@ALIAS`.

    Raises:
        NotFoundError: if there is no such task, version or alias.
        DamagedError: if a row of the adapter is not what was recorded.
    """
    name, version = resolve(connection, ref)
    wanted = and_(TaskRow.name == name, AdapterRow.version == version)
    found = read_adapters(connection, wanted, retired=True)
    if not found:
        raise NotFoundError(f"{name}@{version} was destroyed by gc: its number stays unused")
    _check(connection, wanted)
    return found[0]


def _check(connection: Connection, wanted: ColumnElement[bool]) -> None:
    ids = (
        _adapters_query().where(wanted).with_only_columns(AdapterRow.id, TaskRow.id, BackboneRow.id)
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


def resolve(connection: Connection, ref: str) -> tuple[str, int]:
    """Return the task name and version that a reference means.

    Raises:
        NotFoundError: if there is no such task, version or alias.
    """
    name, at, which = ref.partition("@")
    task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == name)).scalar()
    if task_id is None:
        raise NotFoundError(f"the bank has no task {name!r}: taskbank list shows what is there")
    if at and which.isdecimal():
        if len(which) > 9:  # more than the databases' integers hold
            raise NotFoundError(f"task {name!r} has no version {which}: {SEE.format(name)}")
        known = [
            connection.execute(
                select(row.id).where(row.task_id == task_id, row.version == int(which))
            ).scalar()
            for row in (AdapterRow, RetirementRow)
        ]
        if not any(known):
            raise NotFoundError(f"task {name!r} has no version {which}: {SEE.format(name)}")
        return name, int(which)
    if at:
        return name, aliased_version(connection, name, task_id, which)
    newest = connection.execute(
        select(func.max(AdapterRow.version))
        .select_from(AdapterRow)
        .outerjoin(RetirementRow, retires_adapter())
        .where(AdapterRow.task_id == task_id, IN_USE)
    ).scalar()
    if newest is None:
        raise NotFoundError(f"every version of {name!r} is retired: {SEE.format(name)}")
    return name, int(newest)


def _record(
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
        **course_of(row),
    )


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
            f"or choose another name; {SEE.format(name)}"
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
        "course": dict(new.course),
        "request": new.request,
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
        .outerjoin(RetirementRow, retires_adapter())
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
