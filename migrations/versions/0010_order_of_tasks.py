"""Indexes for lists of tasks by score and by size.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "adapters"
SORTED = ("score", "bytes")


def upgrade() -> None:
    for column in SORTED:
        op.create_index(op.f(f"ix_{TABLE}_{column}_id"), TABLE, [column, "id"], unique=False)


def downgrade() -> None:
    for column in SORTED:
        op.drop_index(op.f(f"ix_{TABLE}_{column}_id"), table_name=TABLE)
