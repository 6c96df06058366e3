"""How a training went and what was requested leave the environment of adapters and trials.

Rows from before keep both in their environment, which their seals cover.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("adapters", "trials")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("course", sa.JSON(), nullable=True))
        op.add_column(table, sa.Column("request", sa.String(length=71), nullable=True))


def downgrade() -> None:
    connection = op.get_bind()
    for table in TABLES:
        held = connection.execute(
            sa.text(f"SELECT count(*) FROM {table} WHERE course IS NOT NULL OR request IS NOT NULL")
        ).scalar()
        if held:
            raise RuntimeError(
                f"the bank has {held} rows of {table} that the schema 0004 cannot hold: go back to "
                "a copy of the bank from before the upgrade"
            )
    for table in TABLES:
        for column in ("course", "request"):
            op.drop_column(table, column)
