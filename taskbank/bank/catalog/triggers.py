"""The triggers that keep the tables append-only, as a bank of this schema has them.

The migrations create them. The integrity check compares what a bank has with these definitions,
word for word: a trigger of the right name that does nothing, or that acts on another table,
protects nothing. A test compares these definitions with what the migrations create.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, UniqueConstraint, text

from taskbank.bank.catalog.tables import Base

# When a row may be deleted, as SQL over OLD; rows of other tables are never deleted.
_OF_PERMITTED = "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.adapter_id)"
DELETABLE = {
    "adapters": "EXISTS (SELECT 1 FROM gc_permits p WHERE p.adapter_id = OLD.id)",
    "tags": _OF_PERMITTED,
    "metrics": _OF_PERMITTED,
    "predictions": _OF_PERMITTED,
    "scored_splits": _OF_PERMITTED,
    "byte_checks": "EXISTS (SELECT 1 FROM byte_checks b WHERE b.of_table = OLD.of_table "
    "AND b.row_id = OLD.row_id AND b.id > OLD.id) "
    "OR (OLD.of_table = 'adapters' "
    "AND NOT EXISTS (SELECT 1 FROM adapters a WHERE a.id = OLD.row_id)) "
    "OR (OLD.of_table = 'observations' AND NOT EXISTS (SELECT 1 FROM observations o "
    "JOIN adapters a ON a.id = o.adapter_id WHERE o.id = OLD.row_id)) "
    "OR (OLD.of_table = 'acceptances' AND NOT EXISTS (SELECT 1 FROM acceptances c "
    "JOIN adapters a ON a.id = c.adapter_id WHERE c.id = OLD.row_id))",
    "splits": "NOT EXISTS (SELECT 1 FROM predictions p WHERE p.split_digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM scored_splits n WHERE n.split_digest = OLD.digest)",
    "blobs": "NOT EXISTS (SELECT 1 FROM adapters a WHERE a.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM splits s WHERE s.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM trials t WHERE t.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM observations o JOIN adapters a ON a.id = o.adapter_id "
    "WHERE o.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM acceptances c JOIN adapters a ON a.id = c.adapter_id "
    "WHERE c.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM scored_splits n WHERE n.digest = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM adapters d WHERE d.row_digests = OLD.digest) "
    "AND NOT EXISTS (SELECT 1 FROM adapters k WHERE k.kept_rows = OLD.digest)",
}
# When a row may be updated, as SQL over OLD and NEW: a damaged blob, to the bytes of its digest.
_REPAIR = (
    "NEW.digest = OLD.digest AND NEW.size = length(NEW.data) "
    "AND (OLD.size <> NEW.size OR {old} {differs} OLD.digest) AND {new} {equals} NEW.digest"
)
REPAIR_SQLITE = _REPAIR.format(
    old="taskbank_digest(OLD.data)",
    new="taskbank_digest(NEW.data)",
    differs="IS NOT",
    equals="IS",
)
REPAIR_POSTGRESQL = _REPAIR.format(
    old="'sha256:' || encode(sha256(OLD.data), 'hex')",
    new="'sha256:' || encode(sha256(NEW.data), 'hex')",
    differs="<>",
    equals="=",
)
PERMITTED = (
    "EXISTS (SELECT 1 FROM adapters a JOIN retirements r "
    "ON r.task_id = a.task_id AND r.version = a.version WHERE a.id = NEW.adapter_id)"
)
PERMITS = "gc_permits"
# Tables of later schemas than the first, whose triggers are worded in another way.
LATER = (
    "trials",
    "runs",
    "observations",
    "acceptances",
    "tolerances",
    "chain",
    "tokenizer_settings",
    "scored_splits",
    "byte_checks",
)

Definitions = dict[tuple[str, str], str]  # by table and name of the trigger


def trigger_damages(connection: Connection) -> Iterator[str]:
    """Yield what is wrong with the triggers: missing, disabled, changed, or not taskbank's."""
    if connection.dialect.name == "sqlite":
        wanted, found = sqlite_triggers(), _found_on_sqlite(connection)
    else:
        wanted, found = postgresql_triggers(), _found_on_postgresql(connection)
    for key, definition in sorted(wanted.items()):
        if key not in found:
            yield f"trigger {key[1]!r} of table {key[0]!r} is missing or disabled"
        elif found[key] != definition:
            yield f"trigger {key[1]!r} was changed: it is {found[key]!r} instead of {definition!r}"
    for key in sorted(found.keys() - wanted.keys()):
        yield f"trigger {key[1]!r} of table {key[0]!r} is not taskbank's: it is {found[key]!r}"


def sqlite_triggers() -> Definitions:
    """Return the definitions of a SQLite bank's triggers."""
    triggers = {}

    def trigger(table: str, name: str, when: str, condition: str, message: str) -> None:
        triggers[table, f"{table}_{name}"] = (
            f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, 'taskbank: {message}'); END"
        )

    for table in _append_only():
        unchangeable = f"NOT ({REPAIR_SQLITE})" if table == "blobs" else "1"
        trigger(table, "no_update", "UPDATE", unchangeable, f"{table} rows never change")
        never = table in LATER and table not in DELETABLE
        undeletable = "1" if never else f"NOT ({DELETABLE.get(table, '0')})"
        kept = f"{table} rows are only deleted by gc"
        trigger(table, "no_delete", "DELETE", undeletable, kept)
        same = (" AND ".join(f"o.{c} = NEW.{c}" for c in key) for key in _unique_keys(table))
        taken = " OR ".join(f"EXISTS (SELECT 1 FROM {table} o WHERE {one})" for one in same)  # noqa: S608
        trigger(table, "no_replace", "INSERT", taken, f"{table} rows are never replaced")
    only = "only a retired adapter can be deleted"
    trigger(PERMITS, "only_retired", "INSERT", f"NOT ({PERMITTED})", only)
    trigger(PERMITS, "no_update", "UPDATE", "1", "permits never change")
    return triggers


def postgresql_triggers() -> Definitions:
    """Return the definitions of a PostgreSQL bank's triggers, each with its function's body."""
    triggers = {}

    def trigger(table: str, name: str, when: str, call: str, condition: str, message: str) -> None:
        each = "STATEMENT" if when == "TRUNCATE" else "ROW"
        triggers[table, f"{table}_{name}"] = (
            f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} FOR EACH {each} "
            f"EXECUTE FUNCTION {table}_{call}() AS plpgsql: BEGIN IF {condition}; END IF; "
            f"RAISE EXCEPTION 'taskbank: {message}' USING ERRCODE = 'restrict_violation'; END"
        )

    for table in _append_only():
        never = f"{table} rows never change"
        no = f"false THEN RETURN {'OLD' if table in LATER else 'NULL'}"
        if table == "blobs":
            repair = f"{REPAIR_POSTGRESQL} THEN RETURN NEW"
            trigger(table, "no_update", "UPDATE", "refuse_update", repair, never)
        else:
            trigger(table, "no_update", "UPDATE", "refuse_change", no, never)
        trigger(table, "no_truncate", "TRUNCATE", "refuse_change", no, never)
        kept = f"{table} rows are only deleted by gc"
        allowed = f"{DELETABLE.get(table, 'false')} THEN RETURN OLD"
        trigger(table, "no_delete", "DELETE", "refuse_delete", allowed, kept)
    only = "only a retired adapter can be deleted"
    trigger(PERMITS, "only_retired", "INSERT", "check", f"{PERMITTED} THEN RETURN NEW", only)
    no, never = "false THEN RETURN NULL", "permits never change"
    trigger(PERMITS, "no_update", "UPDATE", "refuse_change", no, never)
    return triggers


def _append_only() -> list[str]:
    return [table for table in Base.metadata.tables if table != PERMITS]


def _unique_keys(table: str) -> list[tuple[str, ...]]:
    """Return the columns of the primary key and of each unique constraint."""
    own = Base.metadata.tables[table]
    unique = [
        tuple(constraint.columns.keys())
        for constraint in own.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    return [tuple(own.primary_key.columns.keys()), *sorted(unique)]


def _found_on_sqlite(connection: Connection) -> Definitions:
    query = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    return {
        (str(table), str(name)): _normal(str(sql))
        for name, table, sql in connection.execute(text(query))
        if table in Base.metadata.tables
    }


def _found_on_postgresql(connection: Connection) -> Definitions:
    query = """
        SELECT t.tgname, c.relname, n.nspname, pg_get_triggerdef(t.oid), l.lanname, p.prosrc,
               p.prosecdef, p.proconfig
        FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_proc p ON p.oid = t.tgfoid
        JOIN pg_language l ON l.oid = p.prolang
        WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND pg_table_is_visible(c.oid)
    """
    found = {}
    for name, table, schema, trigger, language, body, *changed in connection.execute(text(query)):
        if table in Base.metadata.tables:
            definition = trigger.replace(f" ON {schema}.", " ON ")
            as_owner = " with other rights or settings" if any(changed) else ""
            found[table, name] = _normal(f"{definition} AS {language}{as_owner}: {body}")
    return found


def _normal(sql: str) -> str:
    return " ".join(sql.split())
