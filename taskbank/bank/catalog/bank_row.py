"""The row that describes the bank itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from taskbank.bank.catalog.rows import insert_row
from taskbank.bank.catalog.stored_rows import sealed_rows, stored_damage
from taskbank.bank.catalog.tables import BankRow
from taskbank.errors import DamagedError
from taskbank.runtime.clock import now


def add_bank_row(connection: Connection, blobs: str, created_with: str) -> str:
    """Insert the bank's own row, once, right after its tables are created; return the uuid."""
    uuid = str(uuid4())
    values = {
        "uuid": uuid,
        "blobs": blobs,
        "created_at": now(),
        "created_with": created_with,
    }
    insert_row(connection, BankRow, values)
    return uuid


def read_bank_row(connection: Connection) -> Mapping[str, Any]:
    """Return the bank's own row.

    Raises:
        DamagedError: if the row is missing or differs from what was recorded.
    """
    (stored, *_) = [*sealed_rows(connection, BankRow), None]
    if stored is None:
        raise DamagedError("the bank's own row is missing: restore the bank from a copy")
    damage = stored_damage(BankRow.__tablename__, stored)
    if damage:
        raise DamagedError(f"{damage}: restore the bank from a copy")
    return stored.values
