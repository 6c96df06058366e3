"""`taskbank jobs`: what is shown of submitted commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.workers import job_server
from taskbank.workers.job_server import ServedJob
from taskbank.workers.submission import Submission
from tests.helpers.adapters import new_adapter
from tests.helpers.terminal import Terminal

BEGIN = datetime.now(UTC) - timedelta(seconds=100)


def served(number: int, state: str, metadata: Mapping[str, str], **more: Any) -> ServedJob:
    """Return a job as the server knows it."""
    values: dict[str, Any] = {
        "submitted_at": BEGIN,
        "ended_at": None,
        "exit_code": None,
        "message": "",
        "ray_id": "01000000",
    }
    entrypoint = "python -m taskbank --bank=postgresql://u:hunter2@h/d add-tasks\x1b[2J"
    return ServedJob(f"job{number}", state, entrypoint, metadata, **values | more)


class Server:
    """A job server with some jobs."""

    address = "http://127.0.0.1:8265"

    def __init__(self, *jobs: ServedJob) -> None:
        self.served = jobs
        self.stopped: list[str] = []

    def jobs(self) -> list[ServedJob]:
        """Return all jobs."""
        return list(self.served)

    def job(self, name: str) -> ServedJob:
        """Return one job."""
        (found,) = (job for job in self.served if job.id == name)
        return found

    def log(self, name: str) -> str:
        """Return thirty lines."""
        return "".join(f"line {number} of {name} token=hunter2\x1b[2J\n" for number in range(30))

    def machines(self, _job: ServedJob) -> dict[str, int]:
        """Return two machines."""
        return {"10.0.0.1": 4, "10.0.0.2": 3}

    def stop(self, name: str) -> bool:
        """Stop it unless it has ended."""
        self.stopped.append(name)
        return not self.job(name).ended


@pytest.fixture
def server(mood: Bank, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server with a suite that is half done, one that failed, and jobs of others."""
    suite = Submission("add-tasks", mood.url, ("mood", "a", "b", "c", "d"), 5, before=1)
    mood.put(new_adapter("a"))
    mood.put(new_adapter("b"))
    elsewhere = Submission("add-tasks", "postgresql+psycopg://u@h/other", ("x",), 1)
    verification = Submission("verify-all", mood.url, (), 3, level="full")
    server = Server(
        served(1, "running", suite.to_metadata()),
        served(2, "failed", suite.to_metadata(), exit_code=1, ended_at=BEGIN),
        served(3, "running", {"submitter": "somebody"}),
        served(4, "running", elsewhere.to_metadata()),
        served(5, "succeeded", verification.to_metadata(), exit_code=0, ended_at=BEGIN),
        served(6, "failed", suite.to_metadata(), message="no room token=hunter2"),
    )
    monkeypatch.setattr(job_server, "JobServer", lambda _address: server)
    return server


def test_commands_are_listed_with_what_is_done(terminal: Terminal, server: Server) -> None:
    """Counted in the bank for commands on it; time left at the rate so far; no job of others."""
    found = {job["job"]: job for job in terminal.json("jobs")}
    assert list(found) == ["job1", "job2", "job4", "job5", "job6"]
    assert (found["job1"]["done"], found["job1"]["total"]) == (3, 5)
    assert 100 <= found["job1"]["seconds_left"] < 1000  # two tasks took 100 seconds, two are left
    assert (found["job2"]["exit_code"], found["job2"]["seconds_left"]) == (1, None)
    assert (found["job4"]["done"], found["job4"]["total"]) == (None, 1)
    assert found["job5"]["done"] == 3
    lines = terminal("jobs").splitlines()
    assert lines[0].startswith("1 of the commands work on another bank")
    assert lines[3].split()[:3] == ["job1", "add-tasks", "running"]
    assert re.search(r" 3/5 +0:\d\d:\d\d$", lines[3].rstrip())
    assert "failed (exit code 1)" in lines[4]


def test_one_command_is_shown_with_its_workers_and_log(terminal: Terminal, server: Server) -> None:
    """Without secrets, and with nothing that a terminal would obey."""
    out = terminal("jobs", "job1")
    assert "workers    4 on 10.0.0.1, 3 on 10.0.0.2" in out
    assert "line 9 of" not in out
    assert "line 10 of job1" in out
    assert "hunter2" not in out
    assert "\x1b" not in out
    found = terminal.json("jobs", "job1")
    assert found["workers"] == {"10.0.0.1": 4, "10.0.0.2": 3}
    assert len(found["log"].splitlines()) == 20
    assert "hunter2" not in found["log"] + found["entrypoint"]
    failed = terminal("jobs", "job6")
    assert failed.splitlines()[-1] == "no room token=***"
    assert "workers" not in failed


def test_a_command_is_stopped(terminal: Terminal, server: Server) -> None:
    """One of ours only, by its id."""
    assert "job1 is being stopped" in terminal("jobs", "job1", "--stop")
    assert "job2 had ended: failed" in terminal("jobs", "--stop", "job2")
    assert terminal.json("jobs", "job1", "--stop") == {"job": "job1", "stopped": True}
    terminal("jobs", "--stop", code=2)
    terminal("jobs", "job3", "--stop", code=2)
    assert "job3 was not submitted by taskbank" in terminal.err
    assert server.stopped == ["job1", "job2", "job1"]


def test_a_bank_that_is_not_there_yet_is_no_error(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command may be about to create it."""
    new = Submission("add-tasks", "new.db", ("x",), 1)
    server.served = (served(7, "pending", new.to_metadata()),)
    terminal = Terminal("new.db", capsys)
    (found,) = terminal.json("jobs")
    assert (found["state"], found["done"]) == ("pending", None)
    assert "what is done is unknown: " in terminal.err


def test_no_commands_are_no_error(terminal: Terminal, server: Server) -> None:
    """With what submits one."""
    server.served = server.served[2:3]
    assert terminal.json("jobs") == []
    assert "has no command of taskbank: taskbank submit" in terminal("jobs")
