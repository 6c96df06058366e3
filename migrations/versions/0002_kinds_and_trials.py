"""Settings of an adapter's kind, and a table of every training.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = (
    "NOT EXISTS (SELECT 1 FROM adapters a WHERE a.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM splits s WHERE s.digest = OLD.digest)"
)
DELETABLE_BLOBS = f"{BEFORE} AND NOT EXISTS (SELECT 1 FROM trials t WHERE t.digest = OLD.digest)"


def upgrade() -> None:
    op.add_column("adapters", sa.Column("settings", sa.JSON(), server_default="{}", nullable=False))
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("backbone_id", sa.Integer(), nullable=False),
        sa.Column("specification", sa.String(length=71), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("training", sa.JSON(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=True),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["backbone_id"], ["backbones.id"], name=op.f("fk_trials_backbone_id_backbones")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_trials_digest"), "trials", ["digest"], unique=False)
    op.create_index(
        op.f("ix_trials_task_specification"), "trials", ["task", "specification"], unique=False
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_trigger("trials_no_update", "UPDATE ON trials", "1", "trials rows never change")
        _sqlite_trigger(
            "trials_no_delete", "DELETE ON trials", "1", "trials rows are only deleted by gc"
        )
        _sqlite_trigger(
            "trials_no_replace",
            "INSERT ON trials",
            "EXISTS (SELECT 1 FROM trials o WHERE o.id = NEW.id)",
            "trials rows are never replaced",
        )
    else:
        _postgresql_function("trials_refuse_change", "false", "trials rows never change")
        _postgresql_function("trials_refuse_delete", "false", "trials rows are only deleted by gc")
        for name, when, each, call in (
            ("trials_no_update", "UPDATE", "ROW", "trials_refuse_change"),
            ("trials_no_truncate", "TRUNCATE", "STATEMENT", "trials_refuse_change"),
            ("trials_no_delete", "DELETE", "ROW", "trials_refuse_delete"),
        ):
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {when} ON trials FOR EACH {each} "
                f"EXECUTE FUNCTION {call}()"
            )
    _blobs_may_go_where(DELETABLE_BLOBS)


def downgrade() -> None:
    connection = op.get_bind()
    trials = connection.execute(sa.text("SELECT count(*) FROM trials")).scalar()
    settings = connection.execute(
        sa.text("SELECT count(*) FROM adapters WHERE CAST(settings AS TEXT) <> '{}'")
    ).scalar()
    if trials or settings:
        raise RuntimeError(
            f"the bank has {trials} trials and {settings} adapters with settings, which the "
            "schema 0001 cannot hold: go back to a copy of the bank from before the upgrade"
        )
    _blobs_may_go_where(BEFORE)
    if connection.dialect.name == "postgresql":
        for name in ("trials_refuse_change", "trials_refuse_delete"):
            op.execute(f"DROP FUNCTION {name}() CASCADE")
    op.drop_index(op.f("ix_trials_task_specification"), table_name="trials")
    op.drop_index(op.f("ix_trials_digest"), table_name="trials")
    op.drop_table("trials")
    op.drop_column("adapters", "settings")


def _blobs_may_go_where(condition: str) -> None:
    message = "blobs rows are only deleted by gc"
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER blobs_no_delete")
        _sqlite_trigger("blobs_no_delete", "DELETE ON blobs", f"NOT ({condition})", message)
    else:
        _postgresql_function("blobs_refuse_delete", condition, message)


def _sqlite_trigger(name: str, when: str, condition: str, message: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {when} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, 'taskbank: {message}'); END"
    )


def _postgresql_function(name: str, allowed: str, message: str) -> None:
    op.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "
        f"IF {allowed} THEN RETURN OLD; END IF; "
        f"RAISE EXCEPTION 'taskbank: {message}' USING ERRCODE = 'restrict_violation'; "
        "END $body$"
    )
