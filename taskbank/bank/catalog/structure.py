"""Compares the tables, keys and indexes of a bank with those that its schema has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    ForeignKeyConstraint,
    Table,
    UniqueConstraint,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.types import NullType

from taskbank.bank.catalog.tables import Base, BlobRow, GcPermitRow
from taskbank.errors import DamagedError


def check_tables(connection: Connection) -> None:
    """Raise unless every table has its columns, so that its rows can be read.

    Raises:
        DamagedError: if a table or a column is missing, or a column is of another type.
    """
    found = inspect(connection).get_multi_columns()
    for table in Base.metadata.tables.values():
        damage = _column_damage(table, found.get((None, table.name)))
        if damage:
            raise DamagedError(f"{damage}: restore the bank from a copy")


def _column_damage(table: Table, found: Sequence[ReflectedColumn] | None) -> str | None:
    if found is None:
        return f"table {table.name!r} is missing"
    columns = {column["name"]: column for column in found}
    for column in table.columns:
        if column.name not in columns:
            return f"column {column.name!r} of table {table.name!r} is missing"
        kind = columns[column.name]["type"]
        if isinstance(kind, NullType) or kind.python_type is not column.type.python_type:
            return f"column {column.name!r} of table {table.name!r} is of the type {kind}"
    return None


def structure_damages(connection: Connection) -> Iterator[str]:
    """Yield what is wrong with constraints and indexes, and with what they should guarantee."""
    inspector = inspect(connection)
    columns = inspector.get_multi_columns()
    keys = inspector.get_multi_pk_constraint()
    unique = inspector.get_multi_unique_constraints()
    foreign = inspector.get_multi_foreign_keys()
    indexes = inspector.get_multi_indexes()
    for name, table in Base.metadata.tables.items():
        key = (None, name)
        nullable = {column["name"]: column["nullable"] for column in columns[key]}
        for column in table.columns:
            if nullable[column.name] and not column.nullable:
                yield f"column {column.name!r} of table {name!r} may be empty"
        found = _found_keys(keys[key], unique[key], foreign[key], indexes[key])
        for wanted in sorted(_wanted_keys(table) - found):
            yield f"table {name!r} lacks its {wanted}"
    yield from _dangling(connection)
    if connection.execute(select(func.count()).select_from(GcPermitRow)).scalar():
        yield "table 'gc_permits' has rows, which let other rows be deleted"
    sizes = select(func.count(), func.min(BlobRow.digest)).where(
        BlobRow.size != func.length(BlobRow.data)
    )
    count, first = connection.execute(sizes).one()
    if count:
        yield f"the recorded size is wrong for {count:,} of the blobs, {first} first"
    yield from (_sqlite if connection.dialect.name == "sqlite" else _postgresql)(connection)


def _wanted_keys(table: Table) -> set[str]:
    keys = {f"primary key ({', '.join(table.primary_key.columns.keys())})"}
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            keys.add(f"unique constraint ({', '.join(constraint.columns.keys())})")
        elif isinstance(constraint, ForeignKeyConstraint):
            (column,), (element,) = constraint.columns.keys(), constraint.elements
            keys.add(f"foreign key ({column}) to {element.target_fullname}")
    for index in table.indexes:
        keys.add(f"index {index.name} ({', '.join(index.columns.keys())})")
    return keys


def _found_keys(
    primary: Mapping[str, Any],
    unique: Sequence[Mapping[str, Any]],
    foreign: Sequence[Mapping[str, Any]],
    indexes: Sequence[Mapping[str, Any]],
) -> set[str]:
    keys = {f"primary key ({', '.join(primary['constrained_columns'])})"}
    keys |= {f"unique constraint ({', '.join(one['column_names'])})" for one in unique}
    for one in foreign:
        target = ", ".join(f"{one['referred_table']}.{name}" for name in one["referred_columns"])
        options = "".join(f", {name} {value}" for name, value in one.get("options", {}).items())
        keys.add(f"foreign key ({', '.join(one['constrained_columns'])}) to {target}{options}")
    for one in indexes:
        names = ", ".join(str(name) for name in one["column_names"])
        partial = any(name.endswith("_where") for name in one.get("dialect_options", {}))
        keys.add(f"index {one['name']} ({names})" + (" of some rows" if partial else ""))
    return keys


def _dangling(connection: Connection) -> Iterator[str]:
    """Yield foreign keys that refer to no row."""
    for table in Base.metadata.tables.values():
        for column in table.columns:
            for key in column.foreign_keys:
                other = key.column.table
                rows = table.outerjoin(other, key.column == column)
                query = select(func.count(), func.min(table.c.id)).select_from(rows)
                query = query.where(column.is_not(None), key.column.is_(None))
                count, first = connection.execute(query).one()
                if count:
                    yield (
                        f"{count:,} rows of table {table.name!r}, row {first} first, refer by "
                        f"{column.name!r} to rows of table {other.name!r} that do not exist"
                    )


def _sqlite(connection: Connection) -> Iterator[str]:
    for (message,) in connection.execute(text("PRAGMA integrity_check(10)")):
        if message != "ok":
            yield f"SQLite reports: {message}"


def _postgresql(connection: Connection) -> Iterator[str]:
    for name, message in connection.execute(text(_WEAKENED)):
        if name in Base.metadata.tables:
            yield f"table {name!r} {message}"


_WEAKENED = """
SELECT relname, 'has a rule, which can replace what is written'
FROM pg_class c WHERE relhasrules AND pg_table_is_visible(c.oid)
UNION
SELECT relname, 'has row security, which can hide rows'
FROM pg_class c WHERE relrowsecurity AND pg_table_is_visible(c.oid)
UNION
SELECT relname, 'is inherited from, so that it can show rows of other tables'
FROM pg_class c WHERE relhassubclass AND pg_table_is_visible(c.oid)
UNION
SELECT relname, 'has a constraint that is not validated: ' || conname
FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid
WHERE NOT convalidated AND pg_table_is_visible(c.oid)
UNION
SELECT relname, 'has a foreign key that is not enforced'
FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
WHERE tgisinternal AND tgenabled NOT IN ('O', 'A') AND pg_table_is_visible(c.oid)
UNION
SELECT relname, 'has an index that is not valid'
FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
WHERE NOT indisvalid AND pg_table_is_visible(c.oid)
ORDER BY 1, 2
"""
