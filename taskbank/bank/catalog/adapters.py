"""Records adapters, and finds them by name, version, alias or condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, select

from taskbank.bank.catalog.aliases import LIST_VERSIONS, resolve_alias
from taskbank.bank.catalog.backbones import add_backbone
from taskbank.bank.catalog.checked_rows import check_ids, check_rows, checked_rows
from taskbank.bank.catalog.retirement import IN_USE, is_retired, retirement_of_adapter
from taskbank.bank.catalog.rows import (
    Children,
    as_stored,
    child_rows,
    chunks,
    course_of,
    insert_children,
    insert_once,
    insert_row,
)
from taskbank.bank.catalog.scored_splits import (
    add_scored_split,
    insert_split,
    scored_metrics,
    scored_rows,
)
from taskbank.bank.catalog.seals import contents
from taskbank.bank.catalog.tables import (
    CHILDREN,
    AcceptanceRow,
    AdapterRow,
    BackboneRow,
    MetricRow,
    RetirementRow,
    ScoredSplitRow,
    TaskRow,
)
from taskbank.bank.catalog.task_lock import lock_task
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.record_list import Records
from taskbank.bank.records import (
    AdapterRecord,
    MetricRecord,
    SplitRecord,
)
from taskbank.checks import check_name, check_text
from taskbank.digests import Json, digest_bytes
from taskbank.errors import ConflictError, NotFoundError
from taskbank.runtime.clock import now

LATEST_VERSIONS = select(
    *(
        select(func.max(row.version)).where(row.task_id == bindparam("task")).scalar_subquery()
        for row in (AdapterRow, RetirementRow)  # gc deletes adapters but keeps their retirements
    )
)


def add_adapter(
    connection: Connection,
    new: NewAdapter,
    *,
    new_version: bool,
    once: bool = False,
    after: int | None = None,
    updates: int | None = None,
) -> tuple[AdapterRecord, bool]:
    """Record an adapter and its child rows; the same transaction must store its blobs.

    Args:
        connection: the transaction to write in.
        new: the adapter.
        new_version: whether to add a version to an existing task.
        once: whether to return the adapter that an equal request has stored already, if there is
            one, and to record nothing.
        after: the version that must still be the newest of the task; None means any.
        updates: the version that the adapter updates, which must still be in use; None if it
            updates none.

    Returns:
        the adapter, and whether it was recorded now.

    Raises:
        ConflictError: if the task exists and `new_version` is false, if the task is of another
            kind, if it has a newer version than `after`, or if `updates` is retired.
    """
    task_id, created = _insert_task(connection, new.task, new.kind)
    if not created:
        same = find_request(connection, new) if once else None
        if same is not None:
            return same, False
        check_can_add(new.task, new.kind, kind_of(connection, new.task), new_version=new_version)
    latest = connection.execute(LATEST_VERSIONS, {"task": task_id}).one()
    version = 1 + max(number or 0 for number in latest)
    if after is not None and version != after + 1:
        raise ConflictError(
            f"{new.task}@{version - 1} was added after {new.task}@{after} was read: nothing was "
            "stored; run the command again"
        )
    if updates is not None and is_retired(connection, task_id, updates):
        raise ConflictError(
            f"{new.task}@{updates} was retired after it was read: nothing was stored; update a "
            "version in use"
        )
    backbone_id = add_backbone(connection, new.backbone)
    children = children_of(new)
    adapter_id = insert_row(
        connection, AdapterRow, adapter_values(new, task_id, version, backbone_id, children)
    )
    for split in new.splits:
        insert_split(connection, split.examples, split.rows)
    inserted = insert_children(connection, AdapterRow, {adapter_id: children}, CHILDREN)
    for further in new.scored:
        add_scored_split(connection, adapter_id, further)
    scored = scored_rows(connection, [adapter_id]) if new.scored else {}
    row = connection.execute(_adapter_query(), {"adapter": adapter_id}).mappings().one()
    return _adapter_record(row, inserted, scored, {}), True


def _insert_task(connection: Connection, name: str, kind: str) -> tuple[int, bool]:
    """Return the id of a task, and whether it is new; one that is not is locked."""
    values = {"name": check_name(name, "task name"), "kind": kind, "created_at": now()}
    task_id, created = insert_once(connection, TaskRow, "name", values)
    if not created:
        # The lock gives concurrently added versions of one task distinct numbers.
        lock_task(connection, task_id)
    return task_id, created


def find_request(connection: Connection, new: NewAdapter) -> AdapterRecord | None:
    """Return the adapter in use that an equal request for the same backbone has stored."""
    condition = and_(
        TaskRow.name == new.task,
        AdapterRow.request == new.request,
        BackboneRow.fingerprint == new.backbone.fingerprint,
    )
    return next(iter(read_adapters(connection, condition, newest=1)), None)


def kind_of(connection: Connection, task: str) -> str | None:
    """Return the kind of a task; None if the task does not exist."""
    return connection.execute(select(TaskRow.kind).where(TaskRow.name == task)).scalar()


def read_adapters(
    connection: Connection,
    condition: ColumnElement[bool] | None = None,
    *,
    retired: bool = False,
    newest: int | None = None,
    after: int = 0,
    limit: int | None = None,
) -> Records:
    """Return the adapters that satisfy a condition, oldest first, after checking their rows.

    Args:
        connection: the transaction to read in.
        condition: a condition on the tables of adapters, tasks and backbones; None means all.
        retired: whether to include retired adapters.
        newest: return only this many of the most recent adapters; None means all.
        after: return only adapters with larger ids than this.
        limit: return only this many of the oldest adapters; None means all.

    Raises:
        DamagedError: if a row of an adapter differs from what was recorded.
    """
    query = _adapters_query().limit(limit)
    if after:
        query = query.where(AdapterRow.id > after)
    if condition is not None:
        query = query.where(condition)
    if not retired:
        query = query.where(IN_USE)
    if newest is not None:
        query = query.order_by(None).order_by(AdapterRow.id.desc()).limit(newest)
    rows = connection.execute(query).mappings().all()
    ids = [row["id"] for row in rows]
    children = child_rows(connection, ids)
    scored = scored_rows(connection, ids)
    check_rows(AdapterRow, rows, children)
    check_ids(connection, TaskRow, (row["task_id"] for row in rows))
    check_ids(connection, BackboneRow, (row["backbone_id"] for row in rows))
    retirements = (row["retirement"] for row in rows if row["retirement"] is not None)
    check_ids(connection, RetirementRow, retirements)
    check_rows(ScoredSplitRow, (row for own in scored.values() for row in own))
    accepted = _accepted_references(connection, ids)
    records = [_adapter_record(row, children, scored, accepted) for row in rows]
    return Records(records if newest is None else reversed(records))


def read_task_names(connection: Connection) -> tuple[str, ...]:
    """Return the names of the tasks that have an adapter in use, in order."""
    in_use = (
        select(AdapterRow.id)
        .outerjoin(RetirementRow, retirement_of_adapter())
        .where(AdapterRow.task_id == TaskRow.id, IN_USE)
    )
    query = select(TaskRow.name).where(in_use.exists()).order_by(TaskRow.name)
    return tuple(connection.execute(query).scalars())


def read_oldest_tasks(connection: Connection, start: int, limit: int) -> tuple[str, ...]:
    """Return names of tasks, retired ones too, in the order in which they were first added.

    Args:
        connection: the transaction to read in.
        start: number of tasks to skip.
        limit: return at most this many.
    """
    query = select(TaskRow.name).order_by(TaskRow.id).offset(start).limit(limit)
    return tuple(connection.execute(query).scalars())


def has_adapters(connection: Connection) -> bool:
    """Return whether a bank holds any adapter, retired or not."""
    return bool(connection.execute(select(select(AdapterRow.id).exists())).scalar())


def count_adapters(connection: Connection) -> int:
    """Return the number of adapters in use."""
    # Two separate counts use indexes only; a single query would look up every adapter.
    recorded = select(func.count()).select_from(AdapterRow)
    # gc deletes adapters but keeps their retirements.
    retired = (
        select(func.count()).select_from(RetirementRow).join(AdapterRow, retirement_of_adapter())
    )
    query = select(recorded.scalar_subquery() - retired.scalar_subquery())
    return int(connection.execute(query).scalar_one())


def read_adapter(connection: Connection, ref: str) -> AdapterRecord:
    """Return one adapter after checking its rows.

    Args:
        connection: the transaction to read in.
        ref: `NAME` (its newest version in use), `NAME@VERSION` or `NAME@ALIAS`.

    Raises:
        NotFoundError: if the task, version or alias does not exist.
        DamagedError: if a row of the adapter differs from what was recorded.
    """
    name, version = resolve(connection, ref)
    wanted = and_(TaskRow.name == name, AdapterRow.version == version)
    found = read_adapters(connection, wanted, retired=True)
    if not found:
        raise NotFoundError(
            f"gc has destroyed {name}@{version}: its number is never used again; "
            f"{LIST_VERSIONS.format(name)}"
        )
    return found[0]


def resolve(connection: Connection, ref: str) -> tuple[str, int]:
    """Return the task name and version that a reference stands for.

    Raises:
        InputError: if the reference has characters that no database holds.
        NotFoundError: if the task, version or alias does not exist.
    """
    name, at, which = check_text(ref, "reference").partition("@")
    task_id = connection.execute(select(TaskRow.id).where(TaskRow.name == name)).scalar()
    if task_id is None:
        raise NotFoundError(f"the bank has no task {name!r}: run taskbank list to see its tasks")
    if at and which.isdecimal():
        if len(which) > 9:  # larger numbers overflow the databases' integers
            raise NotFoundError(
                f"task {name!r} has no version {which}: {LIST_VERSIONS.format(name)}"
            )
        known = [
            connection.execute(
                select(row.id).where(row.task_id == task_id, row.version == int(which))
            ).scalar()
            for row in (AdapterRow, RetirementRow)
        ]
        if not any(known):
            raise NotFoundError(
                f"task {name!r} has no version {which}: {LIST_VERSIONS.format(name)}"
            )
        return name, int(which)
    if at:
        return name, resolve_alias(connection, name, task_id, which)
    newest = connection.execute(
        select(func.max(AdapterRow.version))
        .select_from(AdapterRow)
        .outerjoin(RetirementRow, retirement_of_adapter())
        .where(AdapterRow.task_id == task_id, IN_USE)
    ).scalar()
    if newest is None:
        raise NotFoundError(f"every version of {name!r} is retired: {LIST_VERSIONS.format(name)}")
    return name, int(newest)


def _adapter_record(
    row: Mapping[Any, Any],
    children: Children,
    scored: Mapping[int, list[Mapping[str, Any]]],
    accepted: Mapping[tuple[int, str], tuple[str, int]],
) -> AdapterRecord:
    own = row["id"]
    further = scored.get(own, [])
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
        )
        + tuple(metric for split in further for metric in scored_metrics(split)),
        splits=tuple(
            _split_record(p, accepted.get((own, p["split"])))
            for p in (*children["predictions"].get(own, []), *further)
        ),
        retired=row["retirement"] is not None,
        row_digests=row["row_digests"],
        kept_rows=row["kept_rows"],
        id=own,
        **course_of(row),
    )


def check_can_add(name: str, kind: str, existing: str | None, *, new_version: bool) -> None:
    """Raise unless an adapter of a given kind can be added under a task's name.

    Args:
        name: the task's name.
        kind: the kind of the new adapter.
        existing: the kind of the task in the bank; None if the task does not exist.
        new_version: whether to add a version to an existing task.

    Raises:
        ConflictError: if the task exists and `new_version` is false, or if the task is of another
            kind.
    """
    if existing is None:
        return
    if not new_version:
        raise ConflictError(
            f"the bank already has a task {name!r}: add a version to it with --new-version, "
            f"or choose another name; {LIST_VERSIONS.format(name)}"
        )
    if existing != kind:
        raise ConflictError(
            f"task {name!r} is of kind {existing!r}, not {kind!r}: choose another name for the "
            "new task"
        )


def adapter_values(
    new: NewAdapter,
    task_id: int,
    version: int,
    backbone_id: int,
    children: Mapping[str, Sequence[Mapping[str, Json]]],
) -> dict[str, Any]:
    """Return the columns of an adapter's row except its seal.

    Args:
        new: the adapter.
        task_id: the id of its task's row.
        version: its version number.
        backbone_id: the id of its backbone's row.
        children: its child rows, as `children_of` returns them.
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
        "row_digests": None if new.row_digests is None else digest_bytes(new.row_digests),
        "kept_rows": None if new.kept_rows is None else digest_bytes(new.kept_rows),
        "created_at": now(),
        "contents": {name: contents(rows, "adapter_id") for name, rows in children.items()},
    }


def children_of(new: NewAdapter) -> dict[str, list[dict[str, Json]]]:
    """Return the child rows of an adapter, by table, without the adapter's id."""
    return {
        "tags": [{"key": key, "value": value} for key, value in sorted(new.tags.items())],
        "metrics": [as_stored(MetricRow, vars(measured)) for measured in new.metrics],
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
        .outerjoin(RetirementRow, retirement_of_adapter())
        .order_by(AdapterRow.id)
    )


@cache
def _adapter_query() -> Select[Any]:
    """Return the query for one adapter, built once for all recordings."""
    return _adapters_query().where(AdapterRow.id == bindparam("adapter"))


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
        row.get("scored_at"),
    )


def _accepted_references(
    connection: Connection, adapters: Sequence[int]
) -> dict[tuple[int, str], tuple[str, int]]:
    """Return the latest accepted reference and its verification, by adapter id and split."""
    query = select(AcceptanceRow.__table__).order_by(AcceptanceRow.id)
    return {
        (row["adapter_id"], row["split"]): (row["digest"], row["verification_id"])
        for chunk in chunks(adapters)
        for row in checked_rows(
            connection, AcceptanceRow, query.where(AcceptanceRow.adapter_id.in_(chunk))
        )
    }
