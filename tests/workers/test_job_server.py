"""Ray's job server: commands on a real head with a token, and servers that are none.

Ray reads its settings once in a process, so its client runs in processes of their own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import make_url

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import InputError
from taskbank.workers.job_server import check_address
from tests.helpers.rows import sentences, write_jsonl

ROOT = Path(__file__).parents[2]
TOKEN = "4f1c9d0e" * 5
PASSWORD = "a-password-of-nobody"
NO_TORCH = """
import json, sys
from taskbank.cli.main import run

code = run(json.loads(sys.argv[1]))
heavy = {"torch", "transformers", "alembic", "datasets"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
ASK = """
import sys
from taskbank.errors import TaskbankError
from taskbank.workers import job_server

job_server.PATIENCE = 1.0
try:
    job_server.JobServer(sys.argv[1])
except TaskbankError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def settings(**more: str) -> dict[str, str]:
    """Return the environment of a process that has the token."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    common = {
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # its share of a busy machine
        "RAY_API_SERVER_ADDRESS": "",
        "RAY_ADDRESS": "",
        "PGPASSWORD": PASSWORD,  # a server without passwords does not look at it
    }
    return os.environ | common | more


def answer(address: str, token: str | None = TOKEN) -> Any:
    """Return what the dashboard says of all jobs, as to any program that asks."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with urlopen(Request(f"{address}/api/jobs/", headers=headers), timeout=10) as found:  # noqa: S310
        return json.load(found)


@dataclass
class Head:
    """The head of a Ray cluster, with a bank and a suite of two tasks.

    Attributes:
        address: the address of its dashboard.
        bank: the bank's URL.
        folder: the folder of the suite.
    """

    address: str
    bank: str
    folder: Path

    def __call__(self, *words: str, code: int = 0, **more: str) -> str:
        """Run a command in a process, expect its exit code, and return what it printed."""
        given = ["--bank", self.bank, words[0], "--address", self.address, *words[1:]]
        found = subprocess.run(
            [sys.executable, "-c", NO_TORCH, json.dumps(given)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=self.folder,
            env=settings(**more),
        )
        assert found.returncode == code, found
        self.err = found.stderr
        return found.stdout

    def job(self, name: str) -> Any:
        """Return what `taskbank jobs` says of a job."""
        return json.loads(self("jobs", name, "--json"))

    def state(self, name: str) -> str:
        """Return the state of a job in Ray's words, without a process that takes its processor."""
        time.sleep(0.2)
        states = {job["submission_id"]: job["status"] for job in answer(self.address)}
        return str(states[name])


@pytest.fixture(scope="module")
def head(
    new_database: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Head]:
    """A head with one processor and a token, which everybody else must know."""
    pytest.importorskip("ray")
    from taskbank.backbone.load import load_backbone

    url = make_url(new_database())
    plain = url._replace(password=None).render_as_string(hide_password=False)
    password = str(url.password or PASSWORD)
    place = tmp_path_factory.mktemp("submitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", password)
        with create_bank(plain) as bank:
            bank.add_backbone(load_backbone(str(folder)).identity)
    lines = ["[defaults]", "epochs = 1"]
    for seed, name in enumerate(("one", "two")):
        write_jsonl(place / f"{name}.jsonl", sentences(40, seed=seed))
        lines += ["[[task]]", f'name = "{name}"', f'train = "{name}.jsonl"']
    (place / "suite.toml").write_text("\n".join(lines))
    (place / ".env").write_text("SECRET=of-this-folder")
    port, dashboard, client, agent, agent_grpc, metrics = free_ports(6)
    options = {
        "node-ip-address": "127.0.0.1",
        "port": port,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "ray-client-server-port": client,
        "dashboard-agent-listen-port": agent,
        "dashboard-agent-grpc-port": agent_grpc,
        "metrics-export-port": metrics,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": 1,
        "object-store-memory": 100 << 20,
    }
    # Paths of sockets are short, so the folder is not pytest's.
    with tempfile.TemporaryDirectory(prefix="tb", dir="/tmp", ignore_cleanup_errors=True) as own:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
        command += [f"--{name}={value}" for name, value in options.items()]
        process = subprocess.Popen(
            [*command, f"--temp-dir={own}", "--disable-usage-stats"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=settings(PGPASSWORD=password),
        )
        try:
            address = f"http://127.0.0.1:{dashboard}"
            _wait_for(address, process)
            yield Head(address, plain, place)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                _kill_group(process.pid)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            answer(address)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the head did not start")


def _kill_group(leader: int) -> None:
    """Kill what is left of a process group; usually nothing is."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.mark.cluster
@pytest.mark.slow
def test_a_suite_is_added_seen_and_verified(head: Head) -> None:
    """Its data goes along and nothing else, its progress is counted, no secret is shown."""
    sent = json.loads(head("submit", "--json", "add-tasks", "suite.toml", "--verify=none"))
    assert sent["files"] == ["suite.toml", "data/one.jsonl", "data/two.jsonl"]
    end = time.monotonic() + 240
    workers: dict[str, int] = {}
    while head.state(sent["job"]) in ("PENDING", "RUNNING") and time.monotonic() < end:
        if not workers:
            seen = head.job(sent["job"])
            assert seen["total"] == 2
            workers = seen["workers"]
    seen = head.job(sent["job"])
    assert (seen["state"], seen["exit_code"], seen["done"]) == ("succeeded", 0, 2), seen
    assert list(workers.values()) == [1]
    assert "2 tasks, 0 failed" in seen["log"]
    with Bank(head.bank) as bank:
        assert bank.tasks() == ("one", "two")
    told = json.dumps(answer(head.address))
    assert sent["job"] in told
    for secret in (TOKEN, PASSWORD, "of-this-folder", "PGPASSWORD"):
        assert secret not in told + json.dumps(seen)
    out = head("submit", "--follow", "verify-all", "--level", "integrity")
    assert "2 adapters checked (integrity): all is well" in out


@pytest.mark.cluster
@pytest.mark.slow
def test_a_command_is_followed_and_ends_as_here(head: Head) -> None:
    """With what it prints, and its exit code."""
    (head.folder / "broken.toml").write_text('[[task]]\nname = "x"\ntrain = "/gone.csv"\n')
    out = head("submit", "--follow", "add-tasks", "broken.toml", code=2)
    assert "not sent, and read on the cluster: /gone.csv" in out
    assert "task 'x': /gone.csv does not exist" in out
    job = next(line for line in out.splitlines() if line.startswith("raysubmit_"))
    assert "/gone.csv does not exist" in head("jobs", job)
    assert "failed (exit code 2)" in head("jobs")


@pytest.mark.cluster
@pytest.mark.slow
def test_a_command_is_stopped(head: Head) -> None:
    """What runs ends, and once more is no error; a job that is none is one."""
    (head.folder / "long.toml").write_text(
        '[[task]]\nname = "long"\ntrain = "one.jsonl"\nepochs = 100000\n'
    )
    job = head("submit", "add-tasks", "long.toml", "--quiet").strip()
    assert "is being stopped" in head("jobs", job, "--stop")
    end = time.monotonic() + 60
    while head.state(job) != "STOPPED" and time.monotonic() < end:
        pass
    assert f"{job} had ended: stopped" in head("jobs", job, "--stop")
    head("jobs", "raysubmit_none", code=2)
    assert "has no job 'raysubmit_none'" in head.err
    head("jobs", "../nodes", code=2)
    assert "has no job '../nodes'" in head.err


@pytest.mark.cluster
@pytest.mark.slow
def test_without_the_token_nothing_is_told_or_taken(head: Head) -> None:
    """The error says how to give it."""
    with pytest.raises(HTTPError, match="401"):
        answer(head.address, None)
    head("submit", "add-tasks", "suite.toml", code=2, RAY_AUTH_TOKEN="0" * 40)
    assert "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN" in head.err
    assert TOKEN not in head.err


def ask(address: str) -> tuple[int, str]:
    """Ask a server in a process; return the exit code and the message."""
    found = subprocess.run(
        [sys.executable, "-c", ASK, address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=settings(),
    )
    return found.returncode, found.stdout


@pytest.mark.process
@pytest.mark.slow
def test_a_job_server_that_is_none_is_told() -> None:
    """One that is not there and one that never answers, with exit code 5 and what to do."""
    pytest.importorskip("ray")
    (port,) = free_ports(1)
    code, said = ask(f"http://127.0.0.1:{port}")
    assert (code, said.startswith(f"there is no job server at http://127.0.0.1:{port}: ")) == (
        5,
        True,
    )
    assert "--address" in said
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        code, said = ask(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert code == 5
    assert "failed: " in said
    assert "timed out" in said


@pytest.mark.process
def test_without_ray_the_extra_is_named() -> None:
    """Without Ray itself, and without what its client needs."""
    for missing in ("ray", "aiohttp"):
        code = f"import sys; sys.modules[{missing!r}] = None\n{ASK}"
        found = subprocess.run(
            [sys.executable, "-c", code, "http://127.0.0.1:1"],
            capture_output=True,
            text=True,
            check=False,
            env=settings(),
        )
        assert (found.returncode, "pip install 'taskbank[ray]'" in found.stdout) == (2, True), found


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8265",
        "http://[::1]:8265/",
        "http://localhost:8265",
        "https://ray.example/a/",
    ],
)
def test_addresses_of_job_servers_are_taken(address: str, recwarn: pytest.WarningsRecorder) -> None:
    """Without a slash at the end, and without a warning."""
    assert check_address(address) == address.rstrip("/")
    assert not recwarn.list


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:8265",
        "ray://127.0.0.1:10001",
        "os://x",
        "auto",
        "http://",
        "http://h:port",
        "http://[::1",
        "http://a b",
        "http://h\n",
        "http://u:hunter2@h:8265",
        "http://h?token=hunter2",
        "http://h#x",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    """Before Ray sees them, which imports a module of the scheme's name; without the password."""
    with pytest.raises(InputError, match=r"http://HOST:PORT") as caught:
        check_address(address)
    assert "hunter2" not in str(caught.value)


def test_a_connection_that_others_can_read_is_warned_of() -> None:
    """HTTP to another machine carries the token."""
    with pytest.warns(UserWarning, match="is not encrypted"):
        check_address("http://head.example:8265")
