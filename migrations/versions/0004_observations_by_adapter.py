"""An index for the observations of one adapter.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = "ix_observations_adapter_id"


def upgrade() -> None:
    op.create_index(op.f(NAME), "observations", ["adapter_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f(NAME), table_name="observations")
