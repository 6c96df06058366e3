"""Digests of the rows that an adapter was trained on, and the rows themselves if they are kept.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "adapters"
COLUMNS = ("row_digests", "kept_rows")
BLOBS_BEFORE = (
    "NOT EXISTS (SELECT 1 FROM adapters a WHERE a.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM splits s WHERE s.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM trials t WHERE t.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM observations o JOIN adapters a ON a.id = o.adapter_id "
    "WHERE o.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM acceptances c JOIN adapters a ON a.id = c.adapter_id "
    "WHERE c.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM scored_splits n WHERE n.digest = OLD.digest)"
)
NO_ROWS = (
    "AND NOT EXISTS (SELECT 1 FROM adapters d WHERE d.row_digests = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM adapters k WHERE k.kept_rows = OLD.digest)"
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column(TABLE, sa.Column(column, sa.String(length=71), nullable=True))
        op.create_index(op.f(f"ix_{TABLE}_{column}"), TABLE, [column], unique=False)
    _blobs_may_go_where(f"{BLOBS_BEFORE} {NO_ROWS}")


def downgrade() -> None:
    connection = op.get_bind()
    held = connection.execute(
        sa.text(
            f"SELECT count(*) FROM {TABLE} WHERE row_digests IS NOT NULL OR kept_rows IS NOT NULL"
        )
    ).scalar()
    if held:
        raise RuntimeError(
            f"the bank has {held} rows of {TABLE} that the schema {down_revision} cannot hold: go "
            "back to a copy of the bank from before the upgrade"
        )
    _blobs_may_go_where(BLOBS_BEFORE)
    for column in COLUMNS:
        op.drop_index(op.f(f"ix_{TABLE}_{column}"), table_name=TABLE)
        op.drop_column(TABLE, column)


def _blobs_may_go_where(condition: str) -> None:
    message = "blobs rows are only deleted by gc"
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER blobs_no_delete")
        op.execute(
            f"CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs WHEN NOT ({condition}) "
            f"BEGIN SELECT RAISE(ABORT, 'taskbank: {message}'); END"
        )
    else:
        op.execute(
            "CREATE OR REPLACE FUNCTION blobs_refuse_delete() RETURNS trigger LANGUAGE plpgsql "
            f"AS $body$ BEGIN IF {condition} THEN RETURN OLD; END IF; "
            f"RAISE EXCEPTION 'taskbank: {message}' USING ERRCODE = 'restrict_violation'; "
            "END $body$"
        )
