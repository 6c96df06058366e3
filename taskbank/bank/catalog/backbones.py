"""Records and reads the backbones of a bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from taskbank.bank.catalog.rows import insert_once
from taskbank.bank.catalog.tables import BackboneRow, TokenizerSettingsRow
from taskbank.bank.records import BackboneRecord
from taskbank.errors import BackboneMismatchError
from taskbank.runtime.clock import now
from taskbank.specs import BackboneIdentity


def add_backbone(connection: Connection, identity: BackboneIdentity) -> int:
    """Record a backbone and its tokenizer's settings unless they exist; return the id of its row.

    Raises:
        BackboneMismatchError: if the recorded settings of its tokenizer differ.
    """
    values = {**vars(identity), "fingerprint": identity.fingerprint, "created_at": now()}
    settings = values.pop("settings")
    backbone_id = insert_once(connection, BackboneRow, "fingerprint", values)[0]
    if settings is not None:
        row = {"backbone_id": backbone_id, "settings": dict(settings), "recorded_at": now()}
        _, is_new = insert_once(connection, TokenizerSettingsRow, "backbone_id", row)
        if not is_new:
            _check_settings(connection, backbone_id, identity)
    return backbone_id


def read_backbones(connection: Connection) -> tuple[BackboneRecord, ...]:
    """Return every recorded backbone, oldest first."""
    query = (
        select(BackboneRow.__table__, TokenizerSettingsRow.settings)
        .join(TokenizerSettingsRow, isouter=True)
        .order_by(BackboneRow.id)
    )
    return tuple(_backbone_record(row) for row in connection.execute(query).mappings())


def _check_settings(connection: Connection, backbone_id: int, identity: BackboneIdentity) -> None:
    query = select(TokenizerSettingsRow.settings).where(
        TokenizerSettingsRow.backbone_id == backbone_id
    )
    differing = identity.differing_settings(connection.execute(query).scalar_one())
    if differing:
        raise BackboneMismatchError(
            f"the backbone from {identity.spec!r} has another tokenizer configuration than the "
            f"recorded one: {'; '.join(differing)}"
        )


def _backbone_record(row: Mapping[Any, Any]) -> BackboneRecord:
    names = BackboneIdentity.__dataclass_fields__
    identity = BackboneIdentity(**{name: row[name] for name in names})
    return BackboneRecord(identity, row["fingerprint"], row["created_at"])
