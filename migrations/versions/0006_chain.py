"""The chain of everything recorded. `taskbank db upgrade` fills it from the rows of the bank.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NEVER, KEPT = "chain rows never change", "chain rows are only deleted by gc"


def upgrade() -> None:
    op.create_table(
        "chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("head", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain")),
    )
    if op.get_bind().dialect.name == "sqlite":
        taken = "EXISTS (SELECT 1 FROM chain o WHERE o.id = NEW.id)"
        _sqlite_trigger("chain_no_update", "UPDATE ON chain", "1", NEVER)
        _sqlite_trigger("chain_no_delete", "DELETE ON chain", "1", KEPT)
        _sqlite_trigger(
            "chain_no_replace", "INSERT ON chain", taken, "chain rows are never replaced"
        )
        return
    _postgresql_function("chain_refuse_change", NEVER)
    _postgresql_function("chain_refuse_delete", KEPT)
    for name, when, each, call in (
        ("chain_no_update", "UPDATE", "ROW", "chain_refuse_change"),
        ("chain_no_truncate", "TRUNCATE", "STATEMENT", "chain_refuse_change"),
        ("chain_no_delete", "DELETE", "ROW", "chain_refuse_delete"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON chain FOR EACH {each} "
            f"EXECUTE FUNCTION {call}()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in ("chain_refuse_change", "chain_refuse_delete"):
            op.execute(f"DROP FUNCTION {name}() CASCADE")
    else:
        # SQLite deletes the rows before it drops the table, which the trigger would refuse.
        op.execute("DROP TRIGGER chain_no_delete")
    op.drop_table("chain")


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
