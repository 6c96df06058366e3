"""Records and reads the backbones of a bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.catalog.rows import insert_once
from taskbank.bank.catalog.tables import BackboneRow
from taskbank.bank.records import BackboneRecord
from taskbank.runtime.clock import now
from taskbank.specs import BackboneIdentity


def add_backbone(connection: Connection, identity: BackboneIdentity) -> int:
    """Record a backbone unless its fingerprint exists; return the id of its row."""
    values = vars(identity) | {"fingerprint": identity.fingerprint, "created_at": now()}
    return insert_once(connection, BackboneRow, "fingerprint", values)[0]


def read_backbones(connection: Connection) -> tuple[BackboneRecord, ...]:
    """Return every recorded backbone, oldest first."""
    query = select(BackboneRow.__table__).order_by(BackboneRow.id)
    return tuple(_backbone_record(row) for row in connection.execute(query).mappings())


def _backbone_record(row: Mapping[Any, Any]) -> BackboneRecord:
    names = BackboneIdentity.__dataclass_fields__
    identity = BackboneIdentity(**{name: row[name] for name in names})
    return BackboneRecord(identity, row["fingerprint"], row["created_at"])
