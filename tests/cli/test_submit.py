"""`taskbank submit`: what is refused before anything is sent, and what is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.cli.commands import cli
from taskbank.cli.submit import PLANNERS
from taskbank.workers import job_server
from taskbank.workers.job_server import ServedJob
from taskbank.workers.submission import Submission
from tests.helpers.adapters import new_adapter
from tests.helpers.terminal import Terminal


class Server:
    """Takes what is sent to a job server."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any, Any]] = []
        self.end: tuple[str, int | None] | BaseException = ("succeeded", 0)

    def submit(self, words: Any, metadata: Any, package: Path | None) -> str:
        """Keep what was sent."""
        self.sent.append((words, metadata, None if package is None else package.read_bytes()))
        return "raysubmit_1"

    def follow(self, name: str, show: Callable[[str], object]) -> ServedJob:
        """Show a log with a secret and a control character, and end as is said."""
        show("one\ntoken=hunter2\x1b[2J\n")
        if isinstance(self.end, BaseException):
            raise self.end
        state, code = self.end
        when = datetime.now(UTC)
        return ServedJob(name, state, "", {}, when, when, code, "", None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A job server that only keeps what it gets."""
    server = Server()
    monkeypatch.setattr(job_server, "JobServer", lambda _address: server)
    return server


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite with its data."""
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    place = tmp_path / "my suite.toml"
    place.write_text('[[task]]\nname = "one"\ntrain = "a.csv"\n')
    return place


@pytest.fixture
def postgres(
    new_database: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Bank, Terminal]]:
    """A bank on PostgreSQL whose URL has no password."""
    from sqlalchemy import make_url

    url = make_url(new_database())
    if url.password:
        monkeypatch.setenv("PGPASSWORD", str(url.password))
    plain = url._replace(password=None).render_as_string(hide_password=False)
    with create_bank(plain) as bank:
        yield bank, Terminal(plain, capsys)


def test_submit_runs_commands_that_take_on() -> None:
    """Every command that it knows has the option."""
    for name in PLANNERS:
        assert any("--on" in parameter.opts for parameter in cli.commands[name].params)


PG = "postgresql+psycopg://me@127.0.0.1:1/tasks"


@pytest.mark.parametrize(
    ("bank", "words", "problem"),
    [
        (PG, ["list"], "list cannot be submitted: taskbank submit takes add-task, add-tasks and"),
        (PG, ["predict", "one"], "predict cannot be submitted"),
        (PG, ["add-task", "one", "--train", "gone.csv"], "--train: there is no gone.csv"),
        (PG, ["add-task", "one", "--train", "../x.csv"], "--train: there is no ../x.csv"),
        (PG, ["add-task", "one", "--train", "a.csv", "--search", "epochs"], "is not KEY=VALUE"),
        (PG, ["add-task", "a b", "--train", "a.csv"], "'a b'"),
        (PG, ["nonsense"], "nonsense is no command of taskbank"),
        (PG, ["add-tasks"], "Missing argument 'SUITE'"),
        (PG, ["add-tasks", "my suite.toml", "--epochs"], "No such option"),
        (PG, ["verify-all", "--level", "half"], "'half' is not one of"),
        (PG, ["verify-all", "--on", "ray://h:10001"], "not on ray://h:10001: leave out --on"),
        (PG, ["verify-all", "--on", "moon"], "'moon' is no place to run jobs"),
        ("bank.db", ["verify-all"], "bank.db is a file on this machine"),
        (PG.replace("me@", "me:hunter2@"), ["verify-all"], "has a secret, and whoever may list"),
        (f"{PG}?sslpassword=hunter2", ["verify-all"], "has a secret, and whoever may list"),
        (PG, ["add-tasks", "gone.toml"], "suite gone.toml cannot be read"),
        (PG, ["add-tasks", "my suite.toml", "--data", "gone"], "train: there is no gone/a.csv"),
        (PG, ["verify-all", "--expect", "head.txt"], "head.txt is no head"),
        (PG, ["verify-all", "--what-if", "dtype"], "is not KEY=VALUE"),
    ],
)
def test_what_cannot_run_on_a_cluster_is_refused_before_anything_is_sent(
    bank: str,
    words: list[str],
    problem: str,
    server: Server,
    suite: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the reason, no secret, and no look at the bank, which is not there."""
    terminal = Terminal(bank, capsys)
    terminal("submit", *words, code=2)
    assert problem in terminal.err
    assert "hunter2" not in terminal.err
    assert server.sent == []


def test_a_bank_that_is_away_is_told(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent."""
    terminal = Terminal(PG, capsys)
    terminal("submit", "verify-all", code=2)
    assert "cannot be reached" in terminal.err
    assert server.sent == []


def test_a_suite_is_sent_with_its_data(
    server: Server, suite: Path, postgres: tuple[Bank, Terminal]
) -> None:
    """The command has what was given, the paths of the package, and --on."""
    bank, terminal = postgres
    bank.put(new_adapter("one"))
    found = terminal.json(
        "submit", "add-tasks", "--verify=none", suite.name, "--device", "cpu", "--on=ray?threads=2"
    )
    words, metadata, package = server.sent[0]
    assert list(words) == found["words"]
    assert words[:5] == ("python", "-m", "taskbank", f"--bank={bank.url}", "add-tasks")
    assert words[-2:] == ("--", "suite.toml")
    options = {"--verify=none", "--on=ray?threads=2", "--device=cpu", "--data=data"}
    assert set(words[5:-2]) == options
    assert found["files"] == ["suite.toml", "data/a.csv"]
    assert found["bytes"] == len(package)
    submission = Submission.from_metadata(metadata)
    assert (submission.tasks, submission.total, submission.before) == (("one",), 1, 1)
    terminal("submit", "add-tasks", suite.name, "--new-version")
    assert Submission.from_metadata(server.sent[1][1]).before == 0


def test_a_task_is_sent_with_its_data(
    server: Server, suite: Path, postgres: tuple[Bank, Terminal]
) -> None:
    """Files of this folder go along and are named as they are there; other places stay as given."""
    bank, terminal = postgres
    (suite.parent / "label names.txt").write_text("no\nyes\n")
    found = terminal.json(
        "submit", "add-task", "--train=a.csv", "--test", "/data/b.csv", "--validation=hf:trec",
        "--label-names", "label names.txt", "--search=learning_rate=1e-3,3e-3", "--seeds=3", "one",
    )  # fmt: skip
    words, metadata, package = server.sent[0]
    assert words[4:5] + words[-2:] == ("add-task", "--", "one")
    assert set(words[5:-2]) == {
        "--train=data/a.csv",
        "--test=/data/b.csv",
        "--validation=hf:trec",
        "--label-names=data/label names.txt",
        "--search=learning_rate=1e-3,3e-3",
        "--seeds=3",
        "--on=ray",
    }
    assert found["files"] == ["data/a.csv", "data/label names.txt"]
    assert found["bytes"] == len(package)
    submission = Submission.from_metadata(metadata)
    assert (submission.tasks, submission.total, submission.before) == (("one",), 1, 0)
    assert not submission.new_version
    assert bank.tasks() == ()


def test_a_verification_is_sent_as_it_was_given(
    server: Server, postgres: tuple[Bank, Terminal]
) -> None:
    """With the number of adapters where all are predicted."""
    bank, terminal = postgres
    for seed, name in enumerate(("one", "two", "two")):
        bank.put(new_adapter(name, seed=seed), new_version=True)
    said = terminal("submit", "verify-all")
    assert said.startswith("raysubmit_1\n")
    terminal("submit", "verify-all", "--task", "two", "--task=two@1", "--task", "one@1", "--strict")
    terminal("submit", "verify-all", "--level=changed", "--resume")
    totals = [Submission.from_metadata(metadata).total for _, metadata, _ in server.sent]
    assert totals == [3, 3, None]
    words, metadata, package = server.sent[1]
    assert package is None
    assert words[5:] == (
        "--task=two",
        "--task=two@1",
        "--task=one@1",
        "--strict",
        "--on=ray",
    )
    assert Submission.from_metadata(metadata).tasks == ("one@1", "two", "two@1")
    assert Submission.from_metadata(server.sent[2][1]).resume
    terminal("submit", "verify-all", "--task", "three", code=2)
    terminal("submit", "verify-all", "--junit", "here.xml", code=2)
    assert "--junit names a file of this machine" in terminal.err
    terminal("submit", "verify-all", "--backbone=https://u:hunter2@h/x", code=2)
    assert "has a secret" in terminal.err
    assert "hunter2" not in terminal.err
    assert len(server.sent) == 3


def test_a_bank_that_the_command_creates_need_not_exist(
    server: Server, suite: Path, new_database: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given a backbone; without one it must be there."""
    terminal = Terminal(new_database().replace(":@", "@"), capsys)
    if ":***" in terminal.bank:
        pytest.skip("the server wants a password")
    terminal("submit", "add-tasks", suite.name, code=2)
    assert server.sent == []
    terminal("submit", "add-tasks", suite.name, "--backbone", "bert-base-uncased")
    assert "--backbone=bert-base-uncased" in server.sent[0][0]


def test_a_followed_command_ends_as_it_ends_there(
    server: Server, postgres: tuple[Bank, Terminal]
) -> None:
    """With its log without secrets, on stdout unless JSON is there, and its exit code."""
    _, terminal = postgres
    follow = ("submit", "--follow", "verify-all")
    for end, code in (
        (("succeeded", 0), 0),
        (("failed", 1), 1),
        (("failed", None), 5),
        (("stopped", None), 143),
    ):
        server.end = end
        out = terminal(*follow, code=code)
        assert "token=***" in out
        assert "hunter2" not in out
        assert "\x1b" not in out
    server.end = KeyboardInterrupt()
    assert "the command goes on: taskbank jobs raysubmit_1" in terminal(*follow, code=130)
    server.end = ("succeeded", 0)
    assert terminal.json(*follow)["job"] == "raysubmit_1"
    assert "token=***" in terminal.err
