"""`taskbank serve` as a process: its signals, its exit codes, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from tests.helpers.backbones import make_backbone
from tests.helpers.models import put_moved

PREDICT = "/v1/tasks/mood/predict"
WAIT = 60


@pytest.fixture
def mood(own: Bank, backbone: Backbone) -> Bank:
    """A bank with the task `mood`."""
    put_moved(own, backbone, "mood")
    return own


@contextmanager
def started(bank: Bank, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a server of its own, and kill it at the end if it still runs."""
    command = str(Path(sys.executable).with_name("taskbank"))
    process = subprocess.Popen(
        [command, "--bank", bank.url, "serve", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> HTTPConnection:
    """Return a connection to a server, once it says where it is."""
    assert process.stdout is not None
    said = ""
    while not said.endswith("}\n"):
        said += process.stdout.readline()
    place = urlsplit(json.loads(said)["url"])
    return HTTPConnection(str(place.hostname), place.port, timeout=WAIT)


def ask(connection: HTTPConnection, path: str, body: Any = None) -> tuple[int, Any]:
    """Return the status of an answer and its JSON."""
    connection.request("GET" if body is None else "POST", path, body and json.dumps(body))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.process
@pytest.mark.slow
def test_it_serves_until_it_is_terminated(mood: Bank) -> None:
    """It answers, drains after SIGTERM, finishes what it took, logs each request and exits 0."""
    with started(mood, "--drain", "0.5", "--preload") as process:
        connection = ready(process)
        assert ask(connection, PREDICT, {"inputs": ["good"]})[0] == 200
        host, port = connection.host, connection.port
        answers: list[tuple[int, Any]] = []

        def large() -> None:
            body = {"inputs": ["the film was good"] * 3000}
            answers.append(ask(HTTPConnection(host, port, timeout=WAIT), PREDICT, body))

        asking = Thread(target=large)
        asking.start()
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert ask(HTTPConnection(host, port, timeout=WAIT), "/ready")[0] == 503
        asking.join()
        said = process.communicate(timeout=WAIT)[1]
        assert process.returncode == 0, said
        assert (answers[0][0], len(answers[0][1]["predictions"])) == (200, 3000)
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert sum(line.get("route", "").startswith("POST") for line in lines) == 2


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("after", [0.5, 1.2, 2.0])
def test_it_can_be_terminated_while_it_loads(mood: Bank, after: float) -> None:
    """SIGTERM before the first request can be answered ends it without an error."""
    with started(mood, "--drain", "0") as process:
        time.sleep(after)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=WAIT)[1]
        # Before the command line has read what to do, it is any command.
        assert process.returncode in ((0,) if after > 1 else (0, 143)), said
        assert "Traceback" not in said


@pytest.mark.process
@pytest.mark.slow
def test_another_backbone_is_refused(mood: Bank, tmp_path: Path) -> None:
    """A server whose encoder is not the recorded one does not start, and exits with 4."""
    other = make_backbone(tmp_path / "other", seed=9)
    with started(mood, "--backbone", str(other)) as process:
        said = process.communicate(timeout=WAIT)
        assert process.returncode == 4, said
        assert "weights" in said[1]


def test_other_machines_need_keys(mood: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys only this machine's own addresses are listened on."""
    for host in ("0.0.0.0", "::", "", "192.0.2.1", "example.com"):  # noqa: S104
        assert run(["--bank", mood.url, "serve", "--host", host]) == 2
        assert "taskbank keys add" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--keys", "missing"], "cannot be read"),
        (["--admin"], "admin key"),
        (["--allowed-host", "http://bank.example.org"], "without scheme"),
        (["--canary", "2"], "canary"),
        (["--queue", "0"], "queue"),
        (["--deadline", "nan"], "deadline"),
    ],
)
def test_options_that_make_no_server_are_refused(
    mood: Bank, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    """Whatever is wrong with the options, it exits with 2 and words before it listens."""
    assert run(["--bank", mood.url, "serve", "--port", "0", *arguments]) == 2
    assert why in capsys.readouterr().err
