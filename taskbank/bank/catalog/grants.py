"""Grants a PostgreSQL role what normal work with a bank needs, and nothing else.

A role that only reads and inserts cannot change or delete what is recorded, nor the triggers and
tables themselves. Garbage collection and upgrades are left to the owner of the tables.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from taskbank.bank.catalog.tables import Base, GcPermitRow
from taskbank.errors import InputError

READ_ONLY = (GcPermitRow.__tablename__, "alembic_version")


def grant(connection: Connection, role: str) -> None:
    """Let a role read and insert rows, and take every other right on the tables from it.

    Args:
        connection: a transaction of the owner of the bank's tables.
        role: the name of an existing role.

    Raises:
        InputError: if the bank is not on PostgreSQL, the role does not exist, or the role has
            rights that cannot be taken from it here.
    """
    if connection.dialect.name != "postgresql":
        raise InputError("only a PostgreSQL bank has roles: a SQLite file has file permissions")
    _check_role(connection, role)
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(str(connection.execute(text("SELECT current_schema()")).scalar()))
    to = quote(role)
    statements = [
        f"GRANT USAGE ON SCHEMA {schema} TO {to}",
        f"REVOKE CREATE ON SCHEMA {schema} FROM {to}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {to}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {to}",
    ]
    for table in (*Base.metadata.tables, "alembic_version"):
        rights = "SELECT" if table in READ_ONLY else "SELECT, INSERT"
        statements.append(f"GRANT {rights} ON {schema}.{quote(table)} TO {to}")
    sequences = text(
        "SELECT relname FROM pg_class WHERE relkind = 'S' AND pg_table_is_visible(oid) "
        "ORDER BY relname"
    )
    for sequence in connection.execute(sequences).scalars().all():
        statements.append(f"GRANT USAGE ON SEQUENCE {schema}.{quote(sequence)} TO {to}")
    for statement in statements:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    _check_rights(connection, role)


def _check_role(connection: Connection, role: str) -> None:
    query = text(
        "SELECT rolsuper OR pg_has_role(r.oid, c.relowner, 'MEMBER') FROM pg_roles r, pg_class c "
        "WHERE r.rolname = :role AND c.oid = 'bank'::regclass"
    )
    owns = connection.execute(query, {"role": role}).scalar()
    if owns is None:
        raise InputError(
            f"the server has no role {role!r}: create it with CREATE ROLE name LOGIN PASSWORD '…'"
        )
    if owns:
        raise InputError(
            f"the role {role!r} is a superuser or owns the bank's tables, so that no right can be "
            "taken from it: name a role that does not"
        )


def _check_rights(connection: Connection, role: str) -> None:
    """Raise if the role has more rights, through PUBLIC or through another role."""
    query = text(
        "SELECT has_schema_privilege(:role, current_schema(), 'CREATE'), "
        "bool_or(has_table_privilege(:role, c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')) "
        "FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = "
        "current_schema()::regnamespace"
    )
    creates, changes = connection.execute(query, {"role": role}).one()
    if creates or changes:
        what = "change rows of" if changes else "create tables in"
        raise InputError(
            f"the role {role!r} may still {what} the schema through PUBLIC or another role: revoke "
            "that first, such as with REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        )
