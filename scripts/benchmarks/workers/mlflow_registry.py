"""Times MLflow's tracking store and model registry on the operations of `catalog_scale.py`.

Runs in MLflow's environment, without taskbank. The job's `rows` is a file of JSON lines with
`task`, `version`, `params`, `metrics` and `tags`. Each row is logged as a run and registered as a
version of its task's model; the first version gets an alias. Rows that an earlier job has
recorded in the `database` are kept.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from scripts.benchmarks.workers.worker import Job, Run, answer, repeated

ALIAS = "production"
EXPERIMENT = "tasks"


def measure(job: Job) -> Run:
    """Fill the database and return the milliseconds of each repetition by operation."""
    rows = [json.loads(line) for line in Path(job["rows"]).read_text().splitlines()]
    database, runs = Path(job["database"]), job["runs"]
    client = MlflowClient(f"sqlite:///{database}")
    try:
        experiment = client.create_experiment(EXPERIMENT)
    except MlflowException:  # an earlier job has created it
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    fill(client, experiment, rows, database.with_suffix(".done"))
    tasks = sorted({row["task"] for row in rows})

    def list_newest(_number: int) -> None:
        order = ["attributes.start_time DESC"]
        client.search_runs([experiment], order_by=order, max_results=50)

    def query(_number: int) -> int:
        return len(client.search_runs([experiment], job["query"], max_results=1000))

    def look_up_alias(number: int) -> None:
        name = tasks[number % runs * len(tasks) // runs]
        client.get_model_version_by_alias(name, ALIAS)

    def record_new(number: int) -> None:
        new = {"task": f"new-{uuid4().hex}", "version": 1}
        record(client, experiment, rows[number % len(rows)] | new)

    milliseconds = {
        "list": repeated(list_newest, runs),
        "query": repeated(query, runs),
        "alias": repeated(look_up_alias, runs),
        "record": repeated(record_new, runs),
    }
    return {"found": query(0), "milliseconds": milliseconds}


def fill(client: MlflowClient, experiment: str, rows: list[dict[str, Any]], done: Path) -> None:
    """Record the rows that are missing; the file `done` counts those recorded."""
    start = int(done.read_text()) if done.exists() else 0
    for number, row in enumerate(rows[start:], start=start + 1):
        record(client, experiment, row)
        if row["version"] == 1:
            client.set_registered_model_alias(row["task"], ALIAS, "1")
        done.write_text(str(number))


def record(client: MlflowClient, experiment: str, row: dict[str, Any]) -> None:
    """Log a complete run, and register it as the newest version of its task's model."""
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


if __name__ == "__main__":
    answer(measure)
