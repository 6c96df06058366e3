"""Records of byte checks may be deleted once a newer one or the end of their row outdates them.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLE = "byte_checks"
OUTDATED = (
    "EXISTS (SELECT 1 FROM byte_checks b WHERE b.of_table = OLD.of_table "
    "AND b.row_id = OLD.row_id AND b.id > OLD.id) "
    "OR (OLD.of_table = 'adapters' "
    "AND NOT EXISTS (SELECT 1 FROM adapters a WHERE a.id = OLD.row_id)) "
    "OR (OLD.of_table = 'observations' AND NOT EXISTS (SELECT 1 FROM observations o "
    "JOIN adapters a ON a.id = o.adapter_id WHERE o.id = OLD.row_id)) "
    "OR (OLD.of_table = 'acceptances' AND NOT EXISTS (SELECT 1 FROM acceptances c "
    "JOIN adapters a ON a.id = c.adapter_id WHERE c.id = OLD.row_id))"
)


def upgrade() -> None:
    _may_go_where(OUTDATED, f"NOT ({OUTDATED})")


def downgrade() -> None:
    _may_go_where("false", "1")


def _may_go_where(condition: str, refused: str) -> None:
    message = f"{TABLE} rows are only deleted by gc"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {TABLE}_no_delete")
        op.execute(
            f"CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE} WHEN {refused} "
            f"BEGIN SELECT RAISE(ABORT, 'taskbank: {message}'); END"
        )
    else:
        op.execute(
            f"CREATE OR REPLACE FUNCTION {TABLE}_refuse_delete() RETURNS trigger LANGUAGE plpgsql "
            f"AS $body$ BEGIN IF {condition} THEN RETURN OLD; END IF; "
            f"RAISE EXCEPTION 'taskbank: {message}' USING ERRCODE = 'restrict_violation'; "
            "END $body$"
        )
