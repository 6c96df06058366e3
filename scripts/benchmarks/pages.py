"""Measures the pages of `taskbank serve` as a bank grows: time on the server, and bytes sent.

    python scripts/benchmarks/pages.py FOLDER [--adapters 100 10000 100000] [--runs 10]

Fills a SQLite bank of each size (see `synthetic_bank.py`; FOLDER keeps them for the next run).
Each page is read and written once to warm up, and then `--runs` times: the median and the largest
time in milliseconds, and its size as sent, compressed.
"""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import taskbank
from scripts.benchmarks.synthetic_bank import fill
from scripts.shared.arguments import script_parser
from taskbank.bank.bank import Bank
from taskbank.pages.bank import bank_page
from taskbank.pages.history import history_page
from taskbank.pages.links import ServerLinks
from taskbank.pages.render import Page, render
from taskbank.pages.task import task_page
from taskbank.pages.verifications import verifications_page
from taskbank.pages.version import version_page

TASK = "task-000000"
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
    "verifications": verifications_page,
    "history": history_page,
    "history of a task": lambda bank: history_page(bank, task=TASK),
    "a version": lambda bank: version_page(bank, f"{TASK}@4"),
}


def main() -> None:
    """Fill the banks and measure every page of each."""
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, help="folder of the banks")
    parser.add_argument("--adapters", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=10, help="runs of each page")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for count in arguments.adapters:
        with taskbank.create(arguments.folder / f"{count}.db") as bank:
            fill(bank, count)
            for name, read in PAGES.items():
                measure(f"{count:,} adapters, {name}", partial(read, bank), arguments.runs)


def measure(name: str, read: Callable[[], Page], runs: int) -> None:
    """Print the times and the size of a page."""
    text, times = "", []
    for _ in range(runs + 1):
        started = time.perf_counter()
        text = render(read(), ServerLinks())
        times.append(1000 * (time.perf_counter() - started))
    median, most = statistics.median(times[1:]), max(times[1:])
    sent = len(gzip.compress(text.encode(), 5))
    print(f"{name:45} {median:7.1f} ms (at most {most:7.1f})  {sent / 1000:6.1f} kB", flush=True)


if __name__ == "__main__":
    main()
