"""The process of a worker, without a cluster around it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from taskbank.bank.bank import Bank
from taskbank.errors import InputError, NotFoundError, UnreachableError
from taskbank.version import __version__
from taskbank.workers.ray_actor import RayWorker
from tests.helpers.jobs import Count, Job


def test_jobs_share_one_open_bank(mood: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened with the first job, and the number of threads is that of the worker."""
    monkeypatch.setattr("taskbank.runtime.startup._OWN", [])
    actor = RayWorker(mood.url, 1, __version__)
    actor.check()
    assert actor.run(Count(), 4, 0.0).get() == 1
    opened = actor._worker
    assert actor.run(Job(9), 5, 0.0).get() == 9
    assert actor._worker is opened
    assert torch.get_num_threads() == 1


def test_a_worker_without_a_bank_fails_its_jobs(tmp_path: Path) -> None:
    """It lives on, and says why."""
    finished = RayWorker(f"{tmp_path}/none.db", 1, __version__).run(Job(), 0, 0.0)
    with pytest.raises(NotFoundError, match=r"none\.db"):
        finished.get()


def test_a_worker_that_finds_the_bank_away_blames_no_job(mood: Bank) -> None:
    """The command has reached it by the same URL, so the server is away and the URL not wrong."""
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    finished = RayWorker(url, 1, __version__).run(Job(), 0, 0.0)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        finished.get()


def test_another_version_is_refused(mood: Bank) -> None:
    """Its jobs may mean something else."""
    with pytest.raises(InputError, match="install the same version"):
        RayWorker(mood.url, 1, "0.0.1").check()


@pytest.mark.process
@pytest.mark.slow
def test_a_worker_ends_with_the_process_that_started_it(mood: Bank) -> None:
    """Ray itself lets it live on when the raylet is killed."""
    worker = (
        "import os, sys, time\n"
        "from taskbank.workers import ray_actor\n"
        "ray_actor.LOOK = 0.05\n"
        "ray_actor.RayWorker(sys.argv[1], 1, ray_actor.__version__).check()\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(120)"
    )
    raylet = (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]])"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", raylet, mood.url, worker], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    os.kill(pid, 0)
    parent.kill()
    assert parent.stdout.read() == ""  # until the worker closes it, too
    parent.wait()
    deadline = time.monotonic() + 10  # it closes its output before it has ended
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Return whether a process has not ended; its exit code may still wait for somebody to ask."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False
