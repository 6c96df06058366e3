"""The first schema of a bank, with the triggers that keep it append-only.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "bank",
    "backbones",
    "tasks",
    "adapters",
    "tags",
    "metrics",
    "splits",
    "predictions",
    "aliases",
    "retirements",
    "verifications",
    "results",
    "findings",
    "blobs",
)
# When a DELETE is allowed, as SQL over OLD; what is not named here can never be deleted.
DELETABLE = {
    "adapters": "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.id)",
    "tags": "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.adapter_id)",
    "metrics": "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.adapter_id)",
    "predictions": "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.adapter_id)",
    "splits": "NOT EXISTS (SELECT 1 FROM predictions p WHERE p.split_digest = OLD.digest)",
    "blobs": "NOT EXISTS (SELECT 1 FROM adapters a WHERE a.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM splits s WHERE s.digest = OLD.digest)",
}
# A permit to delete is only given for an adapter that was retired before.
PERMITTED = (
    "EXISTS (SELECT 1 FROM adapters a JOIN retirements r "
    "ON r.task_id = a.task_id AND r.version = a.version WHERE a.id = NEW.adapter_id)"
)
# SQLite's INSERT OR REPLACE deletes without a DELETE trigger: refuse it by the unique keys.
UNIQUE_KEYS = {
    "backbones": ("id", "fingerprint"),
    "tasks": ("id", "name"),
    "adapters": ("id", "task_id, version"),
    "tags": ("id", "adapter_id, key"),
    "metrics": ("id", "adapter_id, split, name"),
    "splits": ("id", "digest"),
    "predictions": ("id", "adapter_id, split"),
    "retirements": ("id", "task_id, version"),
    "blobs": ("digest",),
}


def upgrade() -> None:
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        _create_sqlite_triggers()
    else:
        _create_postgresql_triggers()


def _create_sqlite_triggers() -> None:
    def trigger(name: str, when: str, condition: str, message: str) -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, 'taskbank: {message}'); END"
        )

    for table in APPEND_ONLY:
        trigger(f"{table}_no_update", f"UPDATE ON {table}", "1", f"{table} rows never change")
        allowed = DELETABLE.get(table, "0")
        trigger(
            f"{table}_no_delete",
            f"DELETE ON {table}",
            f"NOT ({allowed})",
            f"{table} rows are only deleted by gc",
        )
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} o WHERE "
            + " AND ".join(f"o.{column} = NEW.{column}" for column in key.split(", "))
            + ")"
            for key in UNIQUE_KEYS.get(table, ("id",))
        )
        trigger(
            f"{table}_no_replace",
            f"INSERT ON {table}",
            taken,
            f"{table} rows are never replaced",
        )
    trigger(
        "gc_permits_only_retired",
        "INSERT ON gc_permits",
        f"NOT ({PERMITTED})",
        "only a retired adapter can be deleted",
    )
    trigger("gc_permits_no_update", "UPDATE ON gc_permits", "1", "permits never change")


def _create_postgresql_triggers() -> None:
    def function(name: str, allowed: str, result: str, message: str) -> None:
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "
            f"IF {allowed} THEN RETURN {result}; END IF; "
            f"RAISE EXCEPTION 'taskbank: {message}' USING ERRCODE = 'restrict_violation'; "
            "END $body$"
        )

    def trigger(name: str, when: str, each: str, call: str) -> None:
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} FOR EACH {each} EXECUTE FUNCTION {call}()")

    for table in APPEND_ONLY:
        refuse, delete = f"{table}_refuse_change", f"{table}_refuse_delete"
        function(refuse, "false", "NULL", f"{table} rows never change")
        trigger(f"{table}_no_update", f"UPDATE ON {table}", "ROW", refuse)
        trigger(f"{table}_no_truncate", f"TRUNCATE ON {table}", "STATEMENT", refuse)
        allowed = DELETABLE.get(table, "false")
        function(delete, allowed, "OLD", f"{table} rows are only deleted by gc")
        trigger(f"{table}_no_delete", f"DELETE ON {table}", "ROW", delete)
    function("gc_permits_check", PERMITTED, "NEW", "only a retired adapter can be deleted")
    trigger("gc_permits_only_retired", "INSERT ON gc_permits", "ROW", "gc_permits_check")
    function("gc_permits_refuse_change", "false", "NULL", "permits never change")
    trigger("gc_permits_no_update", "UPDATE ON gc_permits", "ROW", "gc_permits_refuse_change")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        functions = ["gc_permits_check", "gc_permits_refuse_change"]
        for table in APPEND_ONLY:
            functions += [f"{table}_refuse_change", f"{table}_refuse_delete"]
        for name in functions:
            op.execute(f"DROP FUNCTION {name}() CASCADE")
    # SQLite drops a table's triggers with it, but drops the rows first, which they refuse.
    else:
        names = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in op.get_bind().execute(names).all():
            op.execute(f'DROP TRIGGER "{name}"')
    _drop_tables()


def _create_tables() -> None:
    op.create_table(
        "backbones",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=71), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("model_type", sa.Text(), nullable=False),
        sa.Column("pooling", sa.Text(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("hidden_size", sa.Integer(), nullable=False),
        sa.Column("layers", sa.Integer(), nullable=False),
        sa.Column("max_length", sa.Integer(), nullable=False),
        sa.Column("weights", sa.String(length=71), nullable=False),
        sa.Column("config", sa.String(length=71), nullable=False),
        sa.Column("tokenizer", sa.String(length=71), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backbones")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_backbones_fingerprint")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bank",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("blobs", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("created_with", sa.Text(), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_table(
        "gc_permits",
        sa.Column("adapter_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("adapter_id", name=op.f("pk_gc_permits")),
    )
    op.create_table(
        "splits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_splits")),
        sa.UniqueConstraint("digest", name=op.f("uq_splits_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("name", name=op.f("uq_tasks_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "verifications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("checked", sa.Integer(), nullable=False),
        sa.Column("tolerance", sa.Double(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("finished_at", sa.String(length=32), nullable=False),
        sa.Column("contents", sa.JSON(), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verifications")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "adapters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("backbone_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("options_digest", sa.String(length=71), nullable=False),
        sa.Column("training", sa.JSON(), nullable=False),
        sa.Column("training_digest", sa.String(length=71), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("contents", sa.JSON(), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["backbone_id"], ["backbones.id"], name=op.f("fk_adapters_backbone_id_backbones")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_adapters_task_id_tasks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adapters")),
        sa.UniqueConstraint("task_id", "version", name=op.f("uq_adapters_task_id_version")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_adapters_backbone_id"), "adapters", ["backbone_id"], unique=False)
    op.create_index(op.f("ix_adapters_digest"), "adapters", ["digest"], unique=False)
    op.create_table(
        "aliases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("set_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_aliases_task_id_tasks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aliases")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_aliases_task_id_name_id"), "aliases", ["task_id", "name", "id"], unique=False
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("verification_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(length=100), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("check", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["verification_id"],
            ["verifications.id"],
            name=op.f("fk_findings_verification_id_verifications"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_findings_verification_id"), "findings", ["verification_id"], unique=False
    )
    op.create_table(
        "results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("verification_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=True),
        sa.Column("recorded", sa.Double(), nullable=True),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.Column("flips", sa.Integer(), nullable=True),
        sa.Column("examples", sa.Integer(), nullable=True),
        sa.Column("shift", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["verification_id"],
            ["verifications.id"],
            name=op.f("fk_results_verification_id_verifications"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_results_task_version"), "results", ["task", "version"], unique=False)
    op.create_index(
        op.f("ix_results_verification_id"), "results", ["verification_id"], unique=False
    )
    op.create_table(
        "retirements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("retired_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_retirements_task_id_tasks")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retirements")),
        sa.UniqueConstraint("task_id", "version", name=op.f("uq_retirements_task_id_version")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "metrics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("standard_error", sa.Double(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapters.id"], name=op.f("fk_metrics_adapter_id_adapters")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metrics")),
        sa.UniqueConstraint(
            "adapter_id", "split", "name", name=op.f("uq_metrics_adapter_id_split_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_metrics_name_value"), "metrics", ["name", "value"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=100), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("split_digest", sa.String(length=71), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapters.id"], name=op.f("fk_predictions_adapter_id_adapters")
        ),
        sa.ForeignKeyConstraint(
            ["split_digest"], ["splits.digest"], name=op.f("fk_predictions_split_digest_splits")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        sa.UniqueConstraint("adapter_id", "split", name=op.f("uq_predictions_adapter_id_split")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_predictions_digest"), "predictions", ["digest"], unique=False)
    op.create_index(
        op.f("ix_predictions_split_digest"), "predictions", ["split_digest"], unique=False
    )
    op.create_table(
        "tags",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapters.id"], name=op.f("fk_tags_adapter_id_adapters")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("adapter_id", "key", name=op.f("uq_tags_adapter_id_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tags_key_value"), "tags", ["key", "value"], unique=False)


def _drop_tables() -> None:
    op.drop_index(op.f("ix_tags_key_value"), table_name="tags")
    op.drop_table("tags")
    op.drop_index(op.f("ix_predictions_split_digest"), table_name="predictions")
    op.drop_index(op.f("ix_predictions_digest"), table_name="predictions")
    op.drop_table("predictions")
    op.drop_index(op.f("ix_metrics_name_value"), table_name="metrics")
    op.drop_table("metrics")
    op.drop_table("retirements")
    op.drop_index(op.f("ix_results_verification_id"), table_name="results")
    op.drop_index(op.f("ix_results_task_version"), table_name="results")
    op.drop_table("results")
    op.drop_index(op.f("ix_findings_verification_id"), table_name="findings")
    op.drop_table("findings")
    op.drop_index(op.f("ix_aliases_task_id_name_id"), table_name="aliases")
    op.drop_table("aliases")
    op.drop_index(op.f("ix_adapters_digest"), table_name="adapters")
    op.drop_index(op.f("ix_adapters_backbone_id"), table_name="adapters")
    op.drop_table("adapters")
    op.drop_table("verifications")
    op.drop_table("tasks")
    op.drop_table("splits")
    op.drop_table("gc_permits")
    op.drop_table("blobs")
    op.drop_table("bank")
    op.drop_table("backbones")
