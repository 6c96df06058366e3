"""Observations, acceptances and tolerances; the evidence of a result; canaries.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEW = ("runs", "observations", "acceptances", "tolerances")
ADDED = {
    "predictions": ("canary",),
    "verifications": ("run_id", "vouched"),
    "results": ("circumstances", "evidence"),
}
BEFORE = (
    "NOT EXISTS (SELECT 1 FROM adapters a WHERE a.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM splits s WHERE s.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM trials t WHERE t.digest = OLD.digest)"
)
DELETABLE_BLOBS = (
    f"{BEFORE} "
    "AND NOT EXISTS (SELECT 1 FROM observations o JOIN adapters a ON a.id = o.adapter_id "
    "WHERE o.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM acceptances c JOIN adapters a ON a.id = c.adapter_id "
    "WHERE c.digest = OLD.digest)"
)


def upgrade() -> None:
    _create_runs()
    _create_observations()
    op.add_column("predictions", sa.Column("canary", sa.JSON(), nullable=True))
    op.add_column("results", sa.Column("circumstances", sa.String(length=71), nullable=True))
    op.add_column("results", sa.Column("evidence", sa.JSON(), nullable=True))
    op.create_index(op.f("ix_results_circumstances"), "results", ["circumstances"], unique=False)
    op.add_column("verifications", sa.Column("vouched", sa.Integer(), nullable=True))
    _refer_to_runs()
    _create_acceptances()
    _create_tolerances()
    for table in NEW:
        _only_grows(table)
    _blobs_may_go_where(DELETABLE_BLOBS)


def downgrade() -> None:
    connection = op.get_bind()
    held = {
        table: connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar()
        for table in NEW
    }
    for table, columns in ADDED.items():
        there = " OR ".join(f"{column} IS NOT NULL" for column in columns)
        count = connection.execute(sa.text(f"SELECT count(*) FROM {table} WHERE {there}"))
        held[table] = count.scalar()
    if any(held.values()):
        told = ", ".join(f"{count} rows of {table}" for table, count in held.items() if count)
        raise RuntimeError(
            f"the bank has {told} with what the schema 0002 cannot hold: go back to a copy of "
            "the bank from before the upgrade"
        )
    _blobs_may_go_where(BEFORE)
    if connection.dialect.name == "postgresql":
        for table in NEW:
            for name in ("refuse_change", "refuse_delete"):
                op.execute(f"DROP FUNCTION {table}_{name}() CASCADE")
    op.drop_index(op.f("ix_results_circumstances"), table_name="results")
    for table in ("acceptances", "tolerances", "observations"):
        op.drop_table(table)
    for table, columns in ADDED.items():
        for column in columns:
            op.drop_column(table, column)
    op.drop_table("runs")


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("tasks", sa.JSON(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sqlite_autoincrement=True,
    )


def _refer_to_runs() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # SQLite adds a column with its foreign key, and cannot add the key alone.
        op.execute(
            "ALTER TABLE verifications ADD COLUMN run_id INTEGER "
            "CONSTRAINT fk_verifications_run_id_runs REFERENCES runs (id)"
        )
    else:
        op.add_column("verifications", sa.Column("run_id", sa.Integer(), nullable=True))
        op.create_foreign_key(
            op.f("fk_verifications_run_id_runs"), "verifications", "runs", ["run_id"], ["id"]
        )


def _create_observations() -> None:
    op.create_table(
        "observations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=100), nullable=False),
        sa.Column("circumstances", sa.String(length=71), nullable=False),
        sa.Column("noise", sa.Double(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("observed_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_observations_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
        sqlite_autoincrement=True,
    )
    for column in ("run_id", "circumstances", "digest"):
        name = op.f(f"ix_observations_{column}")
        op.create_index(name, "observations", [column], unique=False)


def _create_acceptances() -> None:
    op.create_table(
        "acceptances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("verification_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["verification_id"],
            ["verifications.id"],
            name=op.f("fk_acceptances_verification_id_verifications"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptances")),
        sqlite_autoincrement=True,
    )
    for column in ("adapter_id", "digest"):
        name = op.f(f"ix_acceptances_{column}")
        op.create_index(name, "acceptances", [column], unique=False)


def _create_tolerances() -> None:
    op.create_table(
        "tolerances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("tolerance", sa.Double(), nullable=True),
        sa.Column("set_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_tolerances_task_id_tasks")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tolerances")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tolerances_task_id_id"), "tolerances", ["task_id", "id"], unique=False)


def _only_grows(table: str) -> None:
    never, kept = f"{table} rows never change", f"{table} rows are only deleted by gc"
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_trigger(f"{table}_no_update", f"UPDATE ON {table}", "1", never)
        _sqlite_trigger(f"{table}_no_delete", f"DELETE ON {table}", "1", kept)
        _sqlite_trigger(
            f"{table}_no_replace",
            f"INSERT ON {table}",
            f"EXISTS (SELECT 1 FROM {table} o WHERE o.id = NEW.id)",
            f"{table} rows are never replaced",
        )
        return
    _postgresql_function(f"{table}_refuse_change", "false", never)
    _postgresql_function(f"{table}_refuse_delete", "false", kept)
    for name, when, each, call in (
        (f"{table}_no_update", "UPDATE", "ROW", f"{table}_refuse_change"),
        (f"{table}_no_truncate", "TRUNCATE", "STATEMENT", f"{table}_refuse_change"),
        (f"{table}_no_delete", "DELETE", "ROW", f"{table}_refuse_delete"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH {each} "
            f"EXECUTE FUNCTION {call}()"
        )


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
