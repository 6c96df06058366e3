"""Records and reads trials, the trainings of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.catalog.backbones import add_backbone
from taskbank.bank.catalog.rows import course_of, insert_row, table_of
from taskbank.bank.catalog.seals import row_damage
from taskbank.bank.catalog.tables import BackboneRow, TrialRow
from taskbank.bank.new_records import NewTrial
from taskbank.bank.records import MetricRecord, TrialRecord
from taskbank.digests import digest_bytes
from taskbank.errors import DamagedError
from taskbank.runtime.clock import now


def add_trial(connection: Connection, new: NewTrial) -> None:
    """Record one training of a task; the same transaction must store its weights, if kept."""
    names = ("task", "kind", "specification", "status", "metric", "score", "parameters", "request")
    values = {name: getattr(new, name) for name in names} | {
        "backbone_id": add_backbone(connection, new.backbone),
        "method": new.method.name,
        "options": dict(new.method.options),
        "training": new.training.to_json(),
        "data": dict(new.data),
        "labels": list(new.definition.labels),
        "settings": dict(new.definition.settings),
        "metrics": [dict(vars(measured)) for measured in new.metrics],
        "digest": None if new.weights is None else digest_bytes(new.weights),
        "environment": dict(new.environment),
        "course": dict(new.course),
        "created_at": now(),
    }
    insert_row(connection, TrialRow, values)


def read_trials(connection: Connection, task: str | None = None) -> tuple[TrialRecord, ...]:
    """Return the newest trial of each specification, of one task or of all, oldest first.

    Raises:
        DamagedError: if a row differs from what was recorded.
    """
    table = table_of(TrialRow)
    query = select(table, BackboneRow.fingerprint.label("backbone")).join(
        BackboneRow, BackboneRow.id == TrialRow.backbone_id
    )
    if task is not None:
        query = query.where(TrialRow.task == task)
    found: dict[tuple[str, str], TrialRecord] = {}
    for row in connection.execute(query.order_by(TrialRow.id)).mappings():
        damage = row_damage(table.name, {c.name: row[c.name] for c in table.columns})
        if damage:
            raise DamagedError(f"{damage}: restore the bank from a copy")
        found[row["task"], row["specification"]] = _trial_record(row)
    return tuple(found.values())


def _trial_record(row: Mapping[Any, Any]) -> TrialRecord:
    changed: dict[str, Any] = {
        "labels": tuple(row["labels"]),
        "metrics": tuple(MetricRecord(**measured) for measured in row["metrics"]),
        **course_of(row),
    }
    names = set(TrialRecord.__dataclass_fields__) - changed.keys()
    return TrialRecord(**{name: row[name] for name in names}, **changed)
