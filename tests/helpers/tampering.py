"""Changes a bank behind its back, as damage or an attacker would."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np
from safetensors.numpy import load, save
from sqlalchemy import Connection, text

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.chain_upgrade import begin_chain
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.rows import child_rows
from taskbank.bank.catalog.tables import Base
from taskbank.bank.new_records import NewAdapter
from taskbank.digests import digest_bytes
from tests.helpers.adapters import as_new


def rewrite(bank: Bank, statement: str, *values: object, on: str | None = None) -> None:
    """Change a SQLite bank behind its back, its triggers put aside and put back.

    Args:
        bank: the bank.
        statement: the SQL that changes it.
        values: of the statement's parameters.
        on: a table whose ids the statement exchanges, so that they are unique only at the end.
    """
    # In one transaction a hundred statements wait for the disk once.
    with closing(
        sqlite3.connect(str(bank._engine.url.database), isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        if on is not None:  # exchanged in a copy without the key
            connection.execute(f"CREATE TEMP TABLE copy AS SELECT * FROM {on}")
            connection.execute(statement.replace(on, "copy", 1), values)
            connection.execute(f"DELETE FROM {on}")
            connection.execute(f"INSERT INTO {on} SELECT * FROM copy")
        else:
            connection.execute(statement, values)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")


@contextmanager
def without_triggers(bank: Bank) -> Iterator[Connection]:
    """Open a transaction on either database in which no trigger refuses a change."""
    with bank._engine.connect().execution_options(writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            return
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = connection.execute(query).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.exec_driver_sql(sql)


def reseal(bank: Bank, change: Callable[[dict[str, np.ndarray]], None], which: str) -> None:
    """Change a stored tensor and make digests, seals and chain fit again, as a liar would."""
    from taskbank.bank.catalog.seals import contents, seal

    record = bank["mood"]
    digests = {"weights": record.digest, "logits": record.splits[1].predictions}
    old = digests[which]
    tensors = load(bank.blob(old))
    change(tensors)
    data = save(tensors)
    new = digest_bytes(data)
    rewrite(bank, "UPDATE blobs SET digest = ?, data = ? WHERE digest = ?", new, data, old)
    rewrite(bank, "UPDATE predictions SET digest = ? WHERE digest = ?", new, old)
    rewrite(bank, "UPDATE adapters SET digest = ? WHERE digest = ?", new, old)
    with bank._engine.connect() as connection:
        children = child_rows(connection, [1])
        table = Base.metadata.tables["adapters"]
        row = dict(connection.execute(table.select()).mappings().one())
    row["contents"] = {name: contents(rows[1], "adapter_id") for name, rows in children.items()}
    rewrite(
        bank,
        "UPDATE adapters SET contents = ?, seal = ?",
        json.dumps(row["contents"]),
        seal(row),
    )
    rewrite(bank, "DELETE FROM chain")
    with write_transaction(bank._engine) as connection:
        begin_chain(connection)


Change = Callable[[dict[str, np.ndarray]], None]


def replica(bank: Bank, name: str, change: Change | None = None) -> NewAdapter:
    """Return the task `mood` under another name, with weights that are maybe not those that gave
    its reference predictions."""
    new = as_new(bank, bank["mood"])
    tensors = load(new.weights)
    if change is not None:
        change(tensors)
    return replace(new, task=name, weights=save(tensors))


def nudge(tensors: dict[str, np.ndarray]) -> None:
    """Move every logit of the first class by more than rounding, and flip nothing much."""
    tensors["head.bias"] = tensors["head.bias"] + np.array([1e-3, 0], dtype=np.float32)


def swap(tensors: dict[str, np.ndarray]) -> None:
    """Let each class be called by the other's name."""
    tensors["head.weight"] = tensors["head.weight"][::-1].copy()
    tensors["head.bias"] = tensors["head.bias"][::-1].copy()


def rows(bank: Bank, table: str) -> list[tuple[object, ...]]:
    """Return every row of a table."""
    with bank._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]
