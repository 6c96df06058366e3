"""Loses, adds, exchanges and reorders rows of a bank, and weakens what protects them.

    python -m scripts.verification.attacks.rows [--number N] [--seed 0] [--server URL]

Each attempt changes a copy of a small bank that has a row in every table, past the triggers: it
deletes rows, copies a row under another id, exchanges the ids of two rows, moves an id; removes
entries of the chain; drops, empties, silences, moves or adds triggers; drops indexes.
`verify-all --level integrity` must exit with 1 or 3, and no command with 70. Where the newest
entries of the chain are removed together with their rows, `--expect` must find it. By default
everything is tried once; `--number` tries a random choice. With `--server`, a PostgreSQL server on
which the user is a superuser, the banks are databases there.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.copies import Copies, Statement, outcome_of
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.bank.catalog.tables import Base
from taskbank.bank.catalog.triggers import postgresql_triggers, sqlite_triggers

TABLES = [name for name in Base.metadata.tables if name not in ("gc_permits", "blobs")]


class Attack(NamedTuple):
    """SQL that damages a bank; `guarded` if it is about the triggers themselves."""

    name: str
    statements: list[Statement]
    guarded: bool = False
    expect: bool = False


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, help="attempts (default: everything once)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--server", metavar="URL", help="PostgreSQL server (default: SQLite)")
    arguments = parser.parse_args()
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder), arguments.server)
        attacks = [*on_rows(copies), *on_the_chain(copies), *on_the_schema(copies)]
        random.Random(arguments.seed).shuffle(attacks)
        for attack in itertools.islice(attacks, arguments.number):
            attempt(copies, outcomes, attack)
    return outcomes.finish()


def attempt(copies: Copies, outcomes: Outcomes, attack: Attack) -> None:
    """Damage a copy and count what comes of it."""
    url = copies.copy()
    try:
        copies.tamper(url, attack.statements, guarded=attack.guarded)
    except Exception as error:
        outcomes.add(f"the database refuses it: {type(error).__name__}: {error}", attack.name)
        return
    head = ("--expect", copies.head.digest) if attack.expect else ()
    outcome, broken = outcome_of(copies, url, *head, whole_rows=True)
    outcomes.add(outcome, attack.name, broken=broken)


def on_rows(copies: Copies) -> Iterator[Attack]:
    """Yield attacks on the rows of each table."""
    for table in TABLES:
        ids = [row[0] for row in copies.fetch(copies.original, f"SELECT id FROM {table}")]
        numbers = sorted(int(str(number)) for number in ids)
        first, last = numbers[0], numbers[-1]
        for number in sorted({first, numbers[len(numbers) // 2], last}):
            yield Attack(
                f"delete row {number} of {table}",
                [(f"DELETE FROM {table} WHERE id = {number}", ())],
            )
            yield Attack(
                f"move row {number} of {table}",
                [(f"UPDATE {table} SET id = id + 5000 WHERE id = {number}", ())],
            )
        yield Attack(f"delete every row of {table}", [(f"DELETE FROM {table}", ())])
        columns = [f'"{column.name}"' for column in Base.metadata.tables[table].columns]
        values = ["id + 7000" if column == '"id"' else column for column in columns]
        yield Attack(
            f"copy row {last} of {table}",
            [
                (
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
                    f"FROM {table} WHERE id = {last}",
                    (),
                )
            ],
        )
        for one, other in itertools.pairwise(numbers[:4]):
            yield Attack(
                f"exchange rows {one} and {other} of {table}",
                [
                    (f"UPDATE {table} SET id = -1 WHERE id = {one}", ()),
                    (f"UPDATE {table} SET id = {one} WHERE id = {other}", ()),
                    (f"UPDATE {table} SET id = {other} WHERE id = -1", ()),
                ],
            )


def on_the_chain(copies: Copies) -> Iterator[Attack]:
    """Yield attacks that remove the newest entries together with the rows that they list."""
    entries = copies.fetch(copies.original, "SELECT id, changes FROM chain ORDER BY id DESC")
    statements: list[Statement] = []
    for number, changes in entries[:5]:
        inserted = json.loads(str(changes.decode() if isinstance(changes, bytes) else changes))
        for table, rows in inserted["inserted"].items():
            own = ", ".join(rows)
            for child in ("results", "findings") if table == "verifications" else ():
                statements.append((f"DELETE FROM {child} WHERE verification_id IN ({own})", ()))
            statements.append((f"DELETE FROM {table} WHERE id IN ({own})", ()))
        statements.append((f"DELETE FROM chain WHERE id = {number}", ()))
        yield Attack(f"go back to before entry {number}", [*statements], expect=True)


def on_the_schema(copies: Copies) -> Iterator[Attack]:
    """Yield attacks on triggers and indexes."""
    for table, name in sorted(sqlite_triggers() if copies.on_sqlite else postgresql_triggers()):
        weakened = _on_sqlite if copies.on_sqlite else _on_postgresql
        for change, statements in weakened(table, name).items():
            yield Attack(f"{change} trigger {name}", [(one, ()) for one in statements], True)
    for metadata in Base.metadata.tables.values():
        for index in metadata.indexes:
            yield Attack(f"drop index {index.name}", [(f"DROP INDEX {index.name}", ())], True)


def _on_sqlite(table: str, name: str) -> dict[str, list[str]]:
    drop = f"DROP TRIGGER {name}"
    when, _, body = sqlite_triggers()[table, name].partition(f" ON {table} WHEN ")
    other = "bank" if table != "bank" else "tasks"
    event = when.rsplit(" ", 1)[-1]
    return {
        "drop": [drop],
        "empty": [drop, f"CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT 1; END"],
        "silence": [drop, f"{when} ON {table} WHEN 0 AND {body}"],
        "move": [drop, f"{when} ON {other} WHEN {body}"],
        "join": [
            f"CREATE TRIGGER {name}_too BEFORE {event} ON {table} BEGIN SELECT RAISE(IGNORE); END"
        ],
    }


def _on_postgresql(table: str, name: str) -> dict[str, list[str]]:
    drop = f"DROP TRIGGER {name} ON {table}"
    create, _, _ = postgresql_triggers()[table, name].partition(" AS plpgsql: ")
    function = create.rsplit(" ", 1)[-1]
    other = "bank" if table != "bank" else "tasks"
    empty = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN COALESCE(NEW, OLD); END $$"
    return {
        "drop": [drop],
        "disable": [f"ALTER TABLE {table} DISABLE TRIGGER {name}"],
        "replicate": [f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}"],
        "empty": [f"CREATE OR REPLACE FUNCTION {function} {empty}"],
        "move": [drop, create.replace(f" ON {table} ", f" ON {other} ")],
        "join": [create.replace(f"TRIGGER {name} ", f"TRIGGER {name}_too ")],
    }


if __name__ == "__main__":
    sys.exit(main())
