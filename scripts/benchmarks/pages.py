"""Measures the pages of `taskbank serve` as a bank grows: time on the server, and bytes sent.

    python scripts/benchmarks/pages.py FOLDER [--adapters 100 10000 100000] [--runs 10]

Fills a SQLite bank of each size (see `synthetic_bank.py`; FOLDER keeps them for the next run), and
one with versions of a task of each of some kinds on 5,000 examples, which are compared. With
`--postgresql URL`, that of an empty database, the versions are compared there, too.
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
from scripts.benchmarks.synthetic_bank import BACKBONE, fill
from scripts.shared.arguments import script_parser
from taskbank.bank.bank import Bank
from taskbank.pages.bank import bank_page
from taskbank.pages.compare import compare_page
from taskbank.pages.history import history_page
from taskbank.pages.links import ServerLinks
from taskbank.pages.paired_evidence import AskedPairs
from taskbank.pages.render import Page, render
from taskbank.pages.task import task_page
from taskbank.pages.verifications import verifications_page
from taskbank.pages.version import version_page
from tests.helpers.demo_bank import TOPICS, Made, demo_adapter

TASK = "task-000000"
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
    parser.add_argument("--postgresql", help="URL of an empty database")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for count in arguments.adapters:
        with taskbank.create(arguments.folder / f"{count}.db") as bank:
            fill(bank, count)
            for name, read in PAGES.items():
                measure(f"{count:,} adapters, {name}", partial(read, bank), arguments.runs)
    compare(str(arguments.folder / "compared.db"), arguments.runs)
    if arguments.postgresql:
        compare(arguments.postgresql, arguments.runs)


def compare(url: str, runs: int) -> None:
    """Measure the comparison of two versions of each kind, and of a filtered one."""
    with taskbank.create(url) as bank:
        for made in COMPARED:
            if made.name not in bank.tasks():
                for number, skill in enumerate(made.skills):
                    bank.put(demo_adapter(made, number, skill, BACKBONE), new_version=number > 0)
            refs = (f"{made.name}@1", f"{made.name}@2")
            name = f"{bank.url.partition(':')[0]}, compare {made.kind}"
            measure(name, partial(compare_page, bank, *refs), runs)
            found = AskedPairs(bucket="unchanged", text="invoice")
            measure(f"{name}, a text", partial(compare_page, bank, *refs, asked=found), runs)


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
