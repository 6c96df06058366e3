"""Lets a damaged blob be replaced, and only by the bytes that its digest names.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MESSAGE = "blobs rows never change"
# taskbank gives every connection to SQLite this function; without it, no update is possible.
REPAIR_SQLITE = (
    "NEW.digest = OLD.digest AND NEW.size = length(NEW.data) "
    "AND (OLD.size <> NEW.size OR taskbank_digest(OLD.data) IS NOT OLD.digest) "
    "AND taskbank_digest(NEW.data) IS NEW.digest"
)
REPAIR_POSTGRESQL = (
    "NEW.digest = OLD.digest AND NEW.size = length(NEW.data) "
    "AND (OLD.size <> NEW.size OR 'sha256:' || encode(sha256(OLD.data), 'hex') <> OLD.digest) "
    "AND 'sha256:' || encode(sha256(NEW.data), 'hex') = NEW.digest"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _replace_sqlite(f"NOT ({REPAIR_SQLITE})")
        return
    op.execute(
        "CREATE FUNCTION blobs_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "
        f"IF {REPAIR_POSTGRESQL} THEN RETURN NEW; END IF; "
        f"RAISE EXCEPTION 'taskbank: {MESSAGE}' USING ERRCODE = 'restrict_violation'; "
        "END $body$"
    )
    _replace_postgresql("blobs_refuse_update")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _replace_sqlite("1")
        return
    _replace_postgresql("blobs_refuse_change")
    op.execute("DROP FUNCTION blobs_refuse_update()")


def _replace_sqlite(condition: str) -> None:
    op.execute("DROP TRIGGER blobs_no_update")
    op.execute(
        f"CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, 'taskbank: {MESSAGE}'); END"
    )


def _replace_postgresql(function: str) -> None:
    op.execute("DROP TRIGGER blobs_no_update ON blobs")
    op.execute(
        "CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs FOR EACH ROW "
        f"EXECUTE FUNCTION {function}()"
    )
