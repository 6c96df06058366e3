"""Which rows had their blobs read in full, and what the blob store said of the files then.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = "byte_checks"
NEVER, KEPT = f"{TABLE} rows never change", f"{TABLE} rows are only deleted by gc"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("of_table", sa.String(length=100), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=71), nullable=False),
        sa.Column("checked_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
        sqlite_autoincrement=True,
    )
    columns = ["of_table", "row_id"]
    op.create_index(op.f(f"ix_{TABLE}_of_table_row_id"), TABLE, columns, unique=False)
    if op.get_bind().dialect.name == "sqlite":
        taken = f"EXISTS (SELECT 1 FROM {TABLE} o WHERE o.id = NEW.id)"
        _sqlite_trigger(f"{TABLE}_no_update", f"UPDATE ON {TABLE}", "1", NEVER)
        _sqlite_trigger(f"{TABLE}_no_delete", f"DELETE ON {TABLE}", "1", KEPT)
        _sqlite_trigger(
            f"{TABLE}_no_replace", f"INSERT ON {TABLE}", taken, f"{TABLE} rows are never replaced"
        )
        return
    _postgresql_function(f"{TABLE}_refuse_change", NEVER)
    _postgresql_function(f"{TABLE}_refuse_delete", KEPT)
    for name, when, each, call in (
        (f"{TABLE}_no_update", "UPDATE", "ROW", f"{TABLE}_refuse_change"),
        (f"{TABLE}_no_truncate", "TRUNCATE", "STATEMENT", f"{TABLE}_refuse_change"),
        (f"{TABLE}_no_delete", "DELETE", "ROW", f"{TABLE}_refuse_delete"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON {TABLE} FOR EACH {each} "
            f"EXECUTE FUNCTION {call}()"
        )


def downgrade() -> None:
    connection = op.get_bind()
    held = connection.execute(sa.text(f"SELECT count(*) FROM {TABLE}")).scalar()
    if held:
        raise RuntimeError(
            f"the bank has {held} rows of {TABLE} that the schema {down_revision} cannot hold: go "
            "back to a copy of the bank from before the upgrade"
        )
    if connection.dialect.name == "postgresql":
        for name in ("refuse_change", "refuse_delete"):
            op.execute(f"DROP FUNCTION {TABLE}_{name}() CASCADE")
    op.drop_index(op.f(f"ix_{TABLE}_of_table_row_id"), table_name=TABLE)
    op.drop_table(TABLE)


def _sqlite_trigger(name: str, when: str, condition: str, message: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {when} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, 'taskbank: {message}'); END"
    )


def _postgresql_function(name: str, message: str) -> None:
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "
        f"IF false THEN RETURN OLD; END IF; "
        f"RAISE EXCEPTION 'taskbank: {message}' USING ERRCODE = 'restrict_violation'; "
        "END $body$"
    )
