"""Further splits of an adapter, scored after it was added.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "scored_splits"
PERMITTED = "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.adapter_id)"
SPLITS_BEFORE = "NOT EXISTS (SELECT 1 FROM predictions p WHERE p.split_digest = OLD.digest)"
BLOBS_BEFORE = (
    "NOT EXISTS (SELECT 1 FROM adapters a WHERE a.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM splits s WHERE s.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM trials t WHERE t.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM observations o JOIN adapters a ON a.id = o.adapter_id "
    "WHERE o.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM acceptances c JOIN adapters a ON a.id = c.adapter_id "
    "WHERE c.digest = OLD.digest)"
)
UNSCORED = f"NOT EXISTS (SELECT 1 FROM {TABLE} n WHERE n.{{}} = OLD.digest)"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=100), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("split_digest", sa.String(length=71), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("canary", sa.JSON(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("scored_at", sa.String(length=32), nullable=False),
        sa.Column("seal", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapters.id"], name=op.f(f"fk_{TABLE}_adapter_id_adapters")
        ),
        sa.ForeignKeyConstraint(
            ["split_digest"], ["splits.digest"], name=op.f(f"fk_{TABLE}_split_digest_splits")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
        sa.UniqueConstraint("adapter_id", "split", name=op.f(f"uq_{TABLE}_adapter_id_split")),
        sqlite_autoincrement=True,
    )
    for column in ("split_digest", "digest"):
        op.create_index(op.f(f"ix_{TABLE}_{column}"), TABLE, [column], unique=False)
    _only_grows()
    _may_go_where("splits", f"{SPLITS_BEFORE} AND {UNSCORED.format('split_digest')}")
    _may_go_where("blobs", f"{BLOBS_BEFORE} AND {UNSCORED.format('digest')}")


def downgrade() -> None:
    connection = op.get_bind()
    held = connection.execute(sa.text(f"SELECT count(*) FROM {TABLE}")).scalar()
    if held:
        raise RuntimeError(
            f"the bank has {held} rows of {TABLE} that the schema {down_revision} cannot hold: go "
            "back to a copy of the bank from before the upgrade"
        )
    _may_go_where("splits", SPLITS_BEFORE)
    _may_go_where("blobs", BLOBS_BEFORE)
    if connection.dialect.name == "postgresql":
        for name in ("refuse_change", "refuse_delete"):
            op.execute(f"DROP FUNCTION {TABLE}_{name}() CASCADE")
    for column in ("split_digest", "digest"):
        op.drop_index(op.f(f"ix_{TABLE}_{column}"), table_name=TABLE)
    op.drop_table(TABLE)


def _only_grows() -> None:
    never, kept = f"{TABLE} rows never change", f"{TABLE} rows are only deleted by gc"
    if op.get_bind().dialect.name == "sqlite":
        other = f"EXISTS (SELECT 1 FROM {TABLE} o WHERE"
        taken = (
            f"{other} o.id = NEW.id) OR "
            f"{other} o.adapter_id = NEW.adapter_id AND o.split = NEW.split)"
        )
        _sqlite_trigger(f"{TABLE}_no_update", f"UPDATE ON {TABLE}", "1", never)
        _sqlite_trigger(f"{TABLE}_no_delete", f"DELETE ON {TABLE}", f"NOT ({PERMITTED})", kept)
        _sqlite_trigger(
            f"{TABLE}_no_replace", f"INSERT ON {TABLE}", taken, f"{TABLE} rows are never replaced"
        )
        return
    _postgresql_function(f"{TABLE}_refuse_change", "false", never)
    _postgresql_function(f"{TABLE}_refuse_delete", PERMITTED, kept)
    for name, when, each, call in (
        (f"{TABLE}_no_update", "UPDATE", "ROW", f"{TABLE}_refuse_change"),
        (f"{TABLE}_no_truncate", "TRUNCATE", "STATEMENT", f"{TABLE}_refuse_change"),
        (f"{TABLE}_no_delete", "DELETE", "ROW", f"{TABLE}_refuse_delete"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON {TABLE} FOR EACH {each} "
            f"EXECUTE FUNCTION {call}()"
        )


def _may_go_where(table: str, condition: str) -> None:
    message = f"{table} rows are only deleted by gc"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {table}_no_delete")
        _sqlite_trigger(f"{table}_no_delete", f"DELETE ON {table}", f"NOT ({condition})", message)
    else:
        _postgresql_function(f"{table}_refuse_delete", condition, message)


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
