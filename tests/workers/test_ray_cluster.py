"""Jobs on a real Ray cluster: what comes back, what happens to workers that die."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.shared.small_suite import write_suite
from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import (
    DataError,
    InputError,
    ResourceError,
    TaskbankError,
)
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.suite import add_tasks
from taskbank.runtime.device import fastest_precision
from taskbank.specs import TaskSpec
from taskbank.training import tune
from taskbank.verify.verify import verify_all
from taskbank.workers import ray_cluster
from taskbank.workers.address import RayAddress
from taskbank.workers.ray_cluster import RayCluster
from tests.helpers.jobs import Break, Count, Die, Job, Lose, Refuse, Say, results

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_jobs_come_back_whatever_they_do(workers: RayCluster) -> None:
    """Results, errors with their types, tracebacks and warnings; workers live on for more jobs."""
    jobs = [*map(Job, range(20)), Refuse(20), Break(21), Say(22), Count()]
    with pytest.warns() as said:
        found = {
            one.index: one for one in workers.run(jobs, caption="", unit="job", progress=False)
        }
    assert {str(one.message) for one in said} == {
        "say-22: something is odd",
        "say-22: something is worth a remark",
    }
    assert [found[i].get() for i in range(20)] == list(range(20))
    with pytest.raises(DataError, match="row 20 has no text"):
        found[20].get()
    with pytest.raises(TaskbankError, match="ZeroDivisionError: a defect"):
        found[21].get()
    assert "in run\n" in found[21].traceback
    assert found[23].get() == 1
    assert results(workers, [Job(1), Job(2)]) == [1, 2]


def test_a_job_whose_worker_died_runs_again(workers: RayCluster, tmp_path: Path) -> None:
    """On another worker; the jobs beside it come to their end."""
    jobs = [Job(1), Die(2, place=tmp_path / "a"), Job(3), Lose(4, place=tmp_path / "b")]
    with pytest.warns(UserWarning, match="the server is away; trying again for 120 seconds"):
        assert results(workers, jobs) == [1, 2, 3, 2]


def test_a_job_that_kills_every_worker_is_given_up(workers: RayCluster, tmp_path: Path) -> None:
    """After three tries, with the reason; the others are done."""
    jobs = [Die(0, place=tmp_path / "runs", deaths=99), Job(1), Job(2), Job(3)]
    found = {one.index: one for one in workers.run(jobs, caption="", unit="job", progress=False)}
    assert [found[i].get() for i in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(ResourceError, match=r"ended unexpectedly, 3 times: \w"):
        found[0].get()
    assert len((tmp_path / "runs").read_text().splitlines()) == 3


@pytest.fixture
def _as_on_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in the precision that processes of their own choose."""
    monkeypatch.setattr(tune, "fastest_precision", fastest_precision)


@pytest.mark.usefixtures("_as_on_workers")
def test_a_suite_is_the_same_on_a_cluster(
    cluster: None, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained there, every task has the bytes of one that was trained here; verified there, the
    report differs in its times only."""
    suite = write_suite(tmp_path, 3, rows=80, epochs=1)
    given: dict[str, Any] = {"backbone": str(folder), "verify": "none"}
    here = add_tasks(f"{tmp_path}/here.db", suite, **given)
    there = add_tasks(f"{tmp_path}/there.db", suite, executor="ray", **given)
    assert there == here
    assert [one.status for one in there.outcomes] == ["added"] * 3
    with Bank(f"{tmp_path}/here.db") as one, Bank(f"{tmp_path}/there.db") as two:
        for name in one.tasks():
            assert one[name].digest == two[name].digest
            assert one[name].metrics == two[name].metrics
        monkeypatch.setattr("taskbank.verify.observer.GROUP_TASKS", 1)
        reports = [verify_all(two, executor=place).to_json() for place in (None, "ray")]
    for report in reports:
        for name in ("started_at", "finished_at", "id", "head", "entries"):
            report.pop(name, None)
    assert json.dumps(reports[0]) == json.dumps(reports[1])
    again = add_tasks(f"{tmp_path}/there.db", suite, executor="ray", **given)
    assert [one.status for one in again.outcomes] == ["skipped"] * 3


@pytest.mark.usefixtures("_as_on_workers")
def test_a_search_is_the_same_on_a_cluster(
    cluster: None, tmp_path: Path, small: str, folder: Path
) -> None:
    """Its settings are trained side by side, and the best of them has the same bytes."""
    spec = TaskSpec.of(
        {
            "name": "mood",
            "train": small,
            "options": {"size": 4},
            "search": {"learning_rate": [1e-3, 1e-2]},
            "training": {"epochs": 1},
        }
    )
    added = [
        add_task(f"{tmp_path}/{place}.db", spec, backbone=str(folder), executor=place)
        for place in (None, "ray")
    ]
    here, there = (one.record for one in added if one.record is not None)
    assert (here.digest, here.metrics) == (there.digest, there.metrics)
    first, second = ([trial.specification for trial in one.trials] for one in added)
    assert first == second
    assert all(one.verification is not None and one.verification.ok for one in added)


def test_two_drivers_of_a_suite_store_every_task_once(
    cluster: None, tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started at the same time, both end well and name the same versions."""
    import ray

    suite = write_suite(tmp_path, 2, rows=320, epochs=4)
    url = f"sqlite:///{tmp_path}/bank.db"
    with create_bank(url) as bank:
        bank.add_backbone(backbone.identity)
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    command = [sys.executable, "-m", "taskbank", "add-tasks", str(suite), "--on", "ray", "--json"]
    drivers = [
        subprocess.Popen(
            [*command, "--verify", "none", "--bank", url], stdout=subprocess.PIPE, cwd=ROOT
        )
        for _ in range(2)
    ]
    reports = [json.loads(driver.communicate()[0]) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0]
    for report in reports:
        assert [task["ref"] for task in report["tasks"]] == ["task-000@1", "task-001@1"]
    assert [task["score"] for task in reports[0]["tasks"]] == [
        task["score"] for task in reports[1]["tasks"]
    ]
    with Bank(url) as bank:
        assert sorted(record.ref for record in bank) == ["task-000@1", "task-001@1"]


def test_a_bank_that_workers_cannot_open_is_refused(
    cluster: None, mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file on this machine, where the cluster has others."""
    import ray

    other = {"Alive": True, "NodeManagerAddress": "10.0.0.2", "Resources": {}}
    nodes = [*ray.nodes(), other]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    with pytest.raises(InputError, match=r"file on this machine, .* use a bank on PostgreSQL"):
        RayCluster(RayAddress(), mood.url)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": RayAddress(None, 64)}, "no room for a worker with 64 threads"),
        ({"parameters": 10**12}, "a worker needs 12001.1 GB of memory"),
        ({"device": "cuda"}, "no machine of the cluster has a GPU"),
        ({"device": "tpu"}, "device 'tpu' is unknown"),
    ],
)
def test_what_the_cluster_cannot_do_is_refused(
    cluster: None, mood: Bank, given: dict[str, Any], message: str
) -> None:
    """Before a worker starts."""
    with pytest.raises(InputError, match=message):
        RayCluster(**{"address": RayAddress(), "bank": mood.url, **given})


def test_another_version_on_the_cluster_is_refused(
    workers: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both versions, before a job runs."""
    monkeypatch.setattr(ray_cluster, "__version__", "0.0.1")
    with pytest.raises(InputError, match=r"the cluster has taskbank .*, and this machine 0\.0\.1"):
        results(workers, [Job(1)])


def test_a_bank_that_is_gone_is_said(workers: RayCluster, mood: Bank) -> None:
    """Workers open it with their first job, and every job says why it could not run."""
    path = Path(mood.url.removeprefix("sqlite:///"))
    path.unlink()
    with pytest.raises(InputError, match=r"mood\.db"):
        results(workers, [Count()])
