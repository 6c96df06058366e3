"""The plans of what is asked most: each goes through an index, on both databases.

SQLite decides without knowing the tables' sizes. PostgreSQL reads a table as small as those here
from end to end whatever indexes there are, so it is told not to where it can do otherwise; nor to
sort what an index has in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from scripts.benchmarks.synthetic_bank import ALIAS, WITH_BLOBS, fill, make_adapter
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from taskbank.digests import digest_bytes
from taskbank.verify.integrity import check_integrity
from tests.helpers.adapters import new_trial, record_finding

pytestmark = pytest.mark.slow  # a bank of 1,200 adapters is filled first

# Tables and subqueries that do not grow with the tasks, and the databases' own.
SMALL = {"bank", "backbones", "tokenizer_settings", "sqlite_master", "pg_trigger", "recent"}
SORTED = re.compile(r"ORDER BY adapters\.(score|bytes)")
TASK = "task-000000"

# What is done, and the indexes that it must go through; by a table's name, one of its unique keys.
HOT: dict[str, tuple[Callable[[Bank], object], set[str]]] = {
    "record": (
        lambda bank: bank.put(make_adapter(0, f"new-{uuid4().hex}")),
        {"tasks", "adapters", "backbones", "splits", "blobs", "metrics"},
    ),
    "list": (
        lambda bank: bank.adapters(newest=50),
        {"tasks", "retirements", "tags", "metrics", "predictions", "ix_acceptances_adapter_id"},
    ),
    "query": (
        lambda bank: bank.query(
            'metric.accuracy >= 0.98 and metric.f1_macro >= 0.97 and tag.team = "team-7"'
        ),
        {"ix_tags_key_value", "metrics", "adapters", "tasks", "retirements"},
    ),
    "page of tasks": (
        lambda bank: bank.current(limit=50),
        {"tasks", "adapters", "retirements", "ix_aliases_task_id_name_id"},
    ),
    "tasks by score": (
        lambda bank: bank.current(sort="-score", limit=50),
        {"ix_adapters_score_id", "tasks", "adapters"},
    ),
    "tasks by size": (
        lambda bank: bank.current(sort="size", limit=50),
        {"ix_adapters_bytes_id", "tasks", "adapters"},
    ),
    "newest results": (
        lambda bank: bank.verification_log.recent_results([(TASK, 1), (TASK, 2)], each=30),
        {"ix_results_task_version", "verifications"},
    ),
    "aliases of tasks": (
        lambda bank: bank.current_aliases([TASK]),
        {"tasks", "ix_aliases_task_id_name_id"},
    ),
    "alias": (
        lambda bank: bank[f"{TASK}@{ALIAS}"],
        {"tasks", "adapters", "ix_aliases_task_id_name_id", "ix_acceptances_adapter_id"},
    ),
    "newest version": (lambda bank: bank[TASK], {"tasks", "adapters", "retirements"}),
    "integrity of a task": (
        lambda bank: check_integrity(bank, [(TASK, None)]),
        {
            "tasks", "adapters", "predictions", "splits", "blobs",
            "ix_observations_adapter_id", "ix_acceptances_adapter_id",
            "ix_aliases_task_id_name_id", "ix_tolerances_task_id_id",
            "ix_trials_task_specification",
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def bank(shared_bank: Bank) -> Bank:
    """A bank of 1,200 adapters, on SQLite and on PostgreSQL in turn."""
    fill(shared_bank, 1200)
    for number in range(0, 300, WITH_BLOBS):
        record_finding(shared_bank, f"task-{number:06}@1")
    trial = new_trial(weights=None)
    for number in range(300):
        task = f"task-{number:06}"
        specification = digest_bytes(task.encode())
        shared_bank.put_trial(replace(trial, task=task, specification=specification))
    if shared_bank._engine.dialect.name == "postgresql":
        with shared_bank._engine.begin() as connection:  # it does so itself before long
            connection.execute(text("ANALYZE"))
    return shared_bank


def plans(bank: Bank, operation: Callable[[Bank], object]) -> list[tuple[str, str]]:
    """Return each SELECT that an operation runs, with the database's plan for it."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, *rest: Any) -> None:
        if re.match(r"SELECT\b.*\bFROM\b", statement, re.DOTALL):
            seen.append((statement, rest[0]))

    event.listen(bank._engine, "before_cursor_execute", note)
    operation(bank)
    event.remove(bank._engine, "before_cursor_execute", note)
    bank.close()  # a connection keeps the plans that it has told, whatever becomes of an index
    with bank._engine.connect() as connection:
        explain = "EXPLAIN QUERY PLAN"
        if bank._engine.dialect.name == "postgresql":
            explain = "EXPLAIN"
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        found = []
        for one, values in seen:
            if connection.dialect.name == "postgresql":
                sorts = "off" if SORTED.search(one) else "on"
                connection.execute(text(f"SET LOCAL enable_sort = {sorts}"))
            rows = connection.exec_driver_sql(f"{explain} {one}", values)
            found.append((one, "\n".join(str(row[-1]) for row in rows)))
        return found


def read_whole(query: str, plan: str) -> set[str]:
    """Return the tables that a query's plan reads from end to end."""
    if "LIMIT" in query and "TEMP B-TREE" not in plan:
        # SQLite reads these rows in their own order, and so no more of them than are wanted.
        plan = re.sub(
            r"SCAN (adapters( USING INDEX \w+)?|tasks USING (COVERING )?INDEX \w+)\n", "", plan
        )
    return set(re.findall(r"(?:Seq Scan on|^SCAN) ([a-z_]+)", plan, re.MULTILINE)) - SMALL


def indexes(plan: str) -> set[str]:
    """Return the indexes that a plan goes through, of unique ones and keys only the table."""
    named = re.findall(r"(?:INDEX|using|Index Scan on) (\w+)", plan)
    named += [f"pk_{table}" for table in re.findall(r"SEARCH (\w+) USING INTEGER PRIMARY", plan)]
    unique = [re.sub(r"^(?:sqlite_autoindex|uq|pk)_([a-z]+)(?:_.*)?$", r"\1", n) for n in named]
    return set(unique)


def missing(bank: Bank, name: str) -> set[str]:
    """Return the indexes that an operation ought to go through and does not."""
    operation, wanted = HOT[name]
    return wanted.difference(*(indexes(plan) for _, plan in plans(bank, operation)))


@pytest.mark.parametrize("name", HOT)
def test_what_is_asked_most_goes_through_indexes(bank: Bank, name: str) -> None:
    """Every query of it uses the indexes it is meant to, and reads no table that grows whole."""
    operation, _ = HOT[name]
    assert missing(bank, name) == set()
    for query, plan in plans(bank, operation):
        assert read_whole(query, plan) == set(), plan


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (name, index)
        for name, (_, wanted) in HOT.items()
        for index in sorted(wanted)
        if "ix_" in index
    ],
)
def test_an_index_that_is_gone_is_noticed(bank: Bank, name: str, index: str) -> None:
    """Without one of them, the plans do not pass for those with it."""
    (own,) = [i for t in Base.metadata.tables.values() for i in t.indexes if i.name == index]
    own.drop(bank._engine)
    try:
        assert missing(bank, name) == {index}
    finally:
        own.create(bank._engine)
