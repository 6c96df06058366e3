"""Jobs on a real Ray cluster: what comes back, what happens to workers that die."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
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
    UnreachableError,
)
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.suite import add_tasks
from taskbank.specs import TaskSpec
from taskbank.verify.verify import verify_all
from taskbank.workers import ray_cluster
from taskbank.workers.address import RayAddress
from taskbank.workers.job import Finished
from taskbank.workers.ray_cluster import RayCluster
from tests.helpers.jobs import Break, Count, Die, Job, Lose, Refuse, Say, Sleep

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def workers(cluster: None, mood: Bank) -> Iterator[RayCluster]:
    """Two workers on a bank with one task."""
    with RayCluster(RayAddress(), mood.url) as executor:
        assert executor.workers == 2
        yield executor


def results(executor: RayCluster, jobs: list[Any]) -> list[Any]:
    """Return what jobs returned, in their order."""
    found = executor.run(jobs, caption="", unit="job", progress=False)
    return [one.get() for one in sorted(found, key=lambda one: one.index)]


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
    jobs = [Job(1), Die(2, place=tmp_path / "a", deaths=2), Job(3), Lose(4, place=tmp_path / "b")]
    assert results(workers, jobs) == [1, 3, 3, 2]


def test_a_job_that_kills_every_worker_is_given_up(workers: RayCluster, tmp_path: Path) -> None:
    """After three tries, with the reason; the others are done."""
    jobs = [Die(0, place=tmp_path / "runs", deaths=99), Job(1), Job(2), Job(3)]
    found = {one.index: one for one in workers.run(jobs, caption="", unit="job", progress=False)}
    assert [found[i].get() for i in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(ResourceError, match=r"ended unexpectedly, 3 times: \w"):
        found[0].get()
    assert len((tmp_path / "runs").read_text().splitlines()) == 3


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
        assert [record.ref for record in bank] == ["task-000@1", "task-001@1"]


class Acted:
    """A worker whose fate a test decides."""

    run = SimpleNamespace(remote=lambda _job, _index, _pause: object())


def act(executor: RayCluster, fates: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let workers live (`.`) or die (`x`) in turn, and return how many there were at each turn."""
    turns, alive = iter(fates), []

    def start(running: dict[Any, Any]) -> None:
        running[object()] = (Acted(), None)

    def wait(running: dict[Any, Any]) -> Iterator[tuple[Any, int | None, Any]]:
        alive.append(len(running))
        actor, index = running.pop(next(iter(running)))
        error = executor._ray.exceptions.ActorDiedError()
        done = None if index is None else Finished(index, index)
        yield actor, index, error if next(turns) == "x" else done

    monkeypatch.setattr(executor, "_start", start)
    monkeypatch.setattr(executor, "_wait", wait)
    return alive


def test_workers_that_die_now_and_then_before_a_job_are_replaced(
    workers: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only three in a row are too many, as then none may be able to start."""
    act(workers, "xxx", monkeypatch)
    with pytest.raises(ResourceError, match="no worker starts"):
        results(workers, [Job(0)])
    act(workers, "xx.xxx..", monkeypatch)  # the third is ready, and dies with the job
    assert results(workers, [Job(0)]) == [0]


def test_a_job_whose_worker_died_goes_to_one_that_is_idle(
    workers: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which has loaded the encoder already, and does not have to be started."""
    alive = act(workers, "...x.", monkeypatch)
    monkeypatch.setattr(workers, "_kill", lambda _actors: None)
    assert results(workers, [Job(0), Job(1)]) == [0, 1]
    assert alive == [2, 2, 2, 1, 1]


def test_a_cluster_without_a_head_is_given_up(
    workers: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Ray waits for a minute, and then ends the process without a word of ours."""
    monkeypatch.setattr(ray_cluster, "LOOK", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = head.getsockname()[1]
    monkeypatch.setattr(workers, "_head", ("127.0.0.1", port))
    with pytest.raises(UnreachableError, match=r"was lost: its head does not answer \(Conn"):
        results(workers, [Sleep(1, place=tmp_path / "ran")])
    monkeypatch.setattr(workers, "_lost", False)  # so that its workers are stopped


def test_a_machine_that_has_left_the_cluster_is_given_up(
    workers: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not among the living any more, and its jobs would wait for ever."""
    import ray

    monkeypatch.setattr(ray_cluster, "LOOK", 0.2)
    monkeypatch.setattr(ray, "nodes", lambda: [])
    with pytest.raises(UnreachableError, match="Ray has ended on the machine"):
        results(workers, [Sleep(1, place=tmp_path / "ran")])
    monkeypatch.setattr(workers, "_lost", False)


def test_the_command_is_recorded_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray shows it to everybody who sees the cluster."""
    ray = pytest.importorskip("ray")
    utils = ray._private.utils
    command = "taskbank list --bank postgresql+psycopg://me:Zq7hunter@host/bank"
    monkeypatch.setattr(utils, "get_entrypoint_name", lambda: command)
    with ray_cluster._secrets_hidden(ray):
        recorded = utils.get_entrypoint_name()
    assert recorded == command.replace("Zq7hunter", "***")
    assert utils.get_entrypoint_name() == command


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
