"""What MLflow's tracking and registry take for what `catalog_scale.py` asks of a bank.

    python scripts/workers/mlflow_registry.py ROWS DATABASE QUERY [--runs 20]

Runs in an environment of its own that has MLflow and not taskbank. ROWS is a file with a JSON
object a line (`task`, `version`, `params`, `metrics`, `tags`). Each is logged as a run, and
registered as a version of its task's model, whose first version gets an alias; what is there
already is kept.
Prints JSON: milliseconds of each repetition by operation, and how many runs the query found.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

ALIAS = "production"
EXPERIMENT = "tasks"


def record(client: MlflowClient, experiment: str, row: dict[str, Any]) -> None:
    """Log a run whole, and register it as the newest version of its task's model."""
    now = int(time.time() * 1000)
    run = client.create_run(experiment, start_time=now, run_name=row["task"]).info.run_id
    client.log_batch(
        run,
        metrics=[Metric(name, value, now, 0) for name, value in row["metrics"].items()],
        params=[Param(name, str(value)) for name, value in row["params"].items()],
        tags=[RunTag(name, value) for name, value in row["tags"].items()],
    )
    client.set_terminated(run)
    if row["version"] == 1:
        client.create_registered_model(row["task"])
    client.create_model_version(row["task"], source=f"runs:/{run}/adapter", run_id=run)


def fill(client: MlflowClient, experiment: str, rows: list[dict[str, Any]], done: Path) -> None:
    """Record what is not there yet; a file says how many are."""
    start = int(done.read_text()) if done.exists() else 0
    for number, row in enumerate(rows[start:], start=start + 1):
        record(client, experiment, row)
        if row["version"] == 1:
            client.set_registered_model_alias(row["task"], ALIAS, "1")
        done.write_text(str(number))


def timed(operation: Callable[[int], object], runs: int) -> list[float]:
    """Return the milliseconds of each of some repetitions, after a first one that is not timed."""
    operation(0)
    taken = []
    for number in range(1, runs):
        started = time.perf_counter()
        operation(number)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def main() -> None:
    """Fill the database, time the operations, and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("database", type=Path)
    parser.add_argument("query")
    parser.add_argument("--runs", type=int, default=20)
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.rows.read_text().splitlines()]
    client = MlflowClient(f"sqlite:///{given.database}")
    try:
        experiment = client.create_experiment(EXPERIMENT)
    except MlflowException:  # it is there from a run before
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    done = given.database.with_suffix(".done")
    fill(client, experiment, rows, done)
    tasks = sorted({row["task"] for row in rows})

    def listed(_number: int) -> int:
        order = ["attributes.start_time DESC"]
        return len(client.search_runs([experiment], order_by=order, max_results=50))

    def queried(_number: int) -> int:
        return len(client.search_runs([experiment], given.query, max_results=1000))

    def aliased(number: int) -> object:
        name = tasks[number * len(tasks) // given.runs]
        return client.get_model_version_by_alias(name, ALIAS)

    def recorded(number: int) -> None:
        new = {"task": f"new-{uuid4().hex}", "version": 1}
        record(client, experiment, rows[number] | new)

    milliseconds = {
        "list": timed(listed, given.runs),
        "query": timed(queried, given.runs),
        "alias": timed(aliased, given.runs),
        "record": timed(recorded, given.runs),
    }
    print(json.dumps({"found": queried(0), "milliseconds": milliseconds}))


if __name__ == "__main__":
    main()
