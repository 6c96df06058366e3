"""The settings of a backbone's tokenizer, recorded when the backbone is next loaded.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "tokenizer_settings"
NEVER, KEPT = f"{TABLE} rows never change", f"{TABLE} rows are only deleted by gc"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("backbone_id", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["backbone_id"], ["backbones.id"], name=op.f(f"fk_{TABLE}_backbone_id_backbones")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
        sa.UniqueConstraint("backbone_id", name=op.f(f"uq_{TABLE}_backbone_id")),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {TABLE} o WHERE o.{key} = NEW.{key})"
            for key in ("id", "backbone_id")
        )
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
    # Nothing is lost: the settings are recorded again when the backbone is next loaded.
    if op.get_bind().dialect.name == "postgresql":
        for name in ("refuse_change", "refuse_delete"):
            op.execute(f"DROP FUNCTION {TABLE}_{name}() CASCADE")
    else:
        # SQLite deletes the rows before it drops the table, which the trigger would refuse.
        op.execute(f"DROP TRIGGER {TABLE}_no_delete")
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
