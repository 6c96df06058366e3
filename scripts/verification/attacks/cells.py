"""Changes one cell of a bank at a time, in every table and column, in many ways.

    python -m scripts.verification.attacks.cells [--number N] [--seed 0] [--server URL]

Each attempt changes one cell of a copy of a small bank that has a row in every table, past the
triggers: to another value of its type, to nothing, to a value of another type, to bytes that are
no text, to numbers that are none, to text that is no JSON, to the value of another row. Reading
commands must then fail or show entries as before, `verify-all --level integrity` must exit with 1
or 3, and no command may exit with 70. By default every combination is tried once; `--number`
tries a random choice of them, or further rows. With `--server`, a PostgreSQL server on which the
user is a superuser, the banks are databases there.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import JSON, Column, MetaData, String, Table

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.copies import Copies, Statement, outcome_of
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.bank.catalog.tables import Base

VERSION = Table("alembic_version", MetaData(), Column("version_num", String, nullable=False))
TABLES = [*Base.metadata.tables.values(), VERSION]
KEYS = {"blobs": "digest", "alembic_version": "version_num"}  # the others have `id`
# By these a row belongs to others. A changed one makes it a lost row, which reading cannot see.
LINKS = ("id", "adapter_id", "task_id", "verification_id")
# Blobs that something in use needs; those of retired adapters may be destroyed at any time.
IN_USE = (
    "digest IN (SELECT a.digest FROM adapters a LEFT JOIN retirements r ON r.task_id = a.task_id "
    "AND r.version = a.version WHERE r.id IS NULL UNION SELECT digest FROM trials "
    "UNION SELECT digest FROM observations)"
)
DEEP = "[" * 100_000 + "]" * 100_000
# By Python type of the column, SQL expressions over the old value; `{c}` is the column.
TEXTS = {
    "more": "{c} || 'x'",
    "fewer": "substr({c}, 2)",
    "empty": "''",
    "control": "{c} || char(27) || '[2J'",
    "long": "replace(hex(zeroblob(50000)), '0', 'x')",
    "blob": "CAST({c} AS BLOB)",
    "other blob": "x'00ff'",
    "not UTF-8": "CAST(x'ff41' AS TEXT)",
    "none": "NULL",
}
NUMBERS = {
    "more": "{c} + 1",
    "less": "{c} - 1",
    "negative": "-1 - {c}",
    "huge": "4611686018427387904",
    "infinite": "9e999",
    "fraction": "{c} + 0.5",
    "text": "'many'",
    "blob": "x'01'",
    "none": "NULL",
}
JSONS = {
    "array": "'[]'",
    "object": "'{{\"a\":1}}'",
    "null": "'null'",
    "number": "'NaN'",
    "not JSON": "'{{'",
    "deep": f"'{DEEP}'",
    "blob": "CAST({c} AS BLOB)",
    "not UTF-8": "CAST(x'ff41' AS TEXT)",
    "none": "NULL",
}
# What PostgreSQL has instead, whose columns hold nothing else than their type.
SERVER_TEXTS = {
    "more": "{c} || 'x'",
    "fewer": "substr({c}, 2)",
    "empty": "''",
    "control": "left({c}, 1) || chr(27)",
    "none": "NULL",
}
SERVER_NUMBERS = {"more": "{c} + 1", "negative": "-1 - {c}", "none": "NULL"}
SERVER_FLOATS = {**SERVER_NUMBERS, "infinite": "'Infinity'", "no number": "'NaN'"}
SERVER_JSONS = {"array": "'[]'", "object": "'{{\"a\":1}}'", "null": "'null'", "none": "NULL"}


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, help="attempts (default: each combination once)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--server", metavar="URL", help="PostgreSQL server (default: SQLite)")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder), arguments.server)
        for table, column, name, expression in chosen(copies, arguments.number, generator):
            attempt(copies, outcomes, generator, table, column, name, expression)
    return outcomes.finish()


def chosen(
    copies: Copies, number: int | None, generator: random.Random
) -> Iterator[tuple[str, Column[object], str, str]]:
    """Yield table, column, name of the change and SQL expression of each attempt."""
    combinations = [
        (table.name, column, name, expression)
        for table in TABLES
        if table.name != "gc_permits"  # has no rows
        for column in table.columns
        for name, expression in changes(column, on_sqlite=copies.on_sqlite).items()
    ]
    generator.shuffle(combinations)
    return itertools.islice(itertools.cycle(combinations), number or len(combinations))


def changes(column: Column[object], *, on_sqlite: bool) -> dict[str, str]:
    """Return the changes of a column, as SQL expressions by name."""
    kind = column.type.python_type
    if isinstance(column.type, JSON):
        return JSONS if on_sqlite else SERVER_JSONS
    if kind is bytes:
        return {"other": "x'00'" if on_sqlite else "'\\x00'", "none": "NULL"}
    if kind is bool:
        return {"other": "NOT {c}", **({"huge": "7", "blob": "x'01'"} if on_sqlite else {})}
    if kind is str:
        found = dict(TEXTS if on_sqlite else SERVER_TEXTS)
    else:
        floats = SERVER_FLOATS if kind is float else SERVER_NUMBERS
        found = dict(NUMBERS if on_sqlite else floats)
    table = column.table.name
    return found | {
        "another row's": f"(SELECT {{c}} FROM {table} o WHERE o.{{c}} <> {table}.{{c}} LIMIT 1)"
    }


def attempt(
    copies: Copies,
    outcomes: Outcomes,
    generator: random.Random,
    table: str,
    column: Column[object],
    name: str,
    expression: str,
) -> None:
    """Change one cell of a copy and count what comes of it."""
    url = copies.copy()
    key = KEYS.get(table, "id")
    cell = f'"{column.name}"'
    query = f"SELECT {key} FROM {table} WHERE {cell} IS NOT NULL"
    rows = copies.fetch(url, query + (f" AND {IN_USE}" if table == "blobs" else ""))
    if not rows:
        return
    row = generator.choice(rows)[0]
    row = row.decode() if isinstance(row, bytes) else row
    place = f"{table}.{column.name} of row {row!r}: {name}"
    mark = "?" if copies.on_sqlite else "%s"
    update = f"UPDATE {table} SET {cell} = {expression.format(c=cell)} WHERE {key} = {mark}"
    statements: list[Statement] = [(update, (row,))]
    if name == "none" and not column.nullable:
        statements = without_constraint(copies, table, cell, statements)
    before = sorted(map(repr, copies.fetch(url, f"SELECT * FROM {table}")))
    try:
        copies.tamper(url, statements)
    except Exception as error:  # a constraint, or a type of PostgreSQL
        outcomes.add(f"the database refuses it: {type(error).__name__}", place)
        return
    # An update may change the order of the rows.
    if sorted(map(repr, copies.fetch(url, f"SELECT * FROM {table}"))) == before:
        outcomes.add("the cell stays as it was", place)
        return
    lost = column.name in LINKS or (table, column.name) == ("retirements", "version")
    outcome, broken = outcome_of(copies, url, whole_rows=lost)
    outcomes.add(outcome, place, broken=broken)


def without_constraint(
    copies: Copies, table: str, cell: str, statements: list[Statement]
) -> list[Statement]:
    """Return statements that put aside that a column may not be empty."""
    if not copies.on_sqlite:
        return [(f"ALTER TABLE {table} ALTER COLUMN {cell} DROP NOT NULL", ()), *statements]
    ((definition,),) = copies.fetch(
        copies.original, f"SELECT sql FROM sqlite_master WHERE name = '{table}'"
    )
    text = bytes(definition).decode() if isinstance(definition, bytes) else str(definition)
    update = "UPDATE sqlite_master SET sql = ? WHERE name = ?"
    on, reset = ("PRAGMA writable_schema = ON", ()), ("PRAGMA writable_schema = RESET", ())
    free = (update, (text.replace("NOT NULL", "NULL"), table))
    return [on, free, reset, *statements, on, (update, (text, table)), reset]


if __name__ == "__main__":
    sys.exit(main())
