"""A database server, a blob store or memory that fails in the middle of a command."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import ResourceError, UnreachableError
from taskbank.pipeline import storage
from taskbank.verify import integrity
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter, new_trial
from tests.helpers.servers import Server
from tests.helpers.terminal import Terminal

LOST = UnreachableError("the bank cannot be reached")


@pytest.fixture
def filled(own: Bank) -> Bank:
    """A bank with five adapters."""
    for number in range(5):
        own.put(new_adapter(f"task-{number}", seed=number))
    return own


def fail_after(monkeypatch: pytest.MonkeyPatch, count: int, error: Exception) -> None:
    """Let the integrity check of adapters fail after some of them."""
    real, calls = integrity._adapter_damages, iter(range(1000))

    def check(*given: Any) -> Any:
        if next(calls) >= count:
            raise error
        return real(*given)

    monkeypatch.setattr(integrity, "_adapter_damages", check)


@pytest.mark.parametrize("error", [LOST, MemoryError(), OSError(24, "Too many open files")])
def test_an_interrupted_verification_finds_nothing_wrong_and_keeps_what_it_knows(
    filled: Bank, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What could not be read is unchecked, not damaged, and the rest has its result."""
    fail_after(monkeypatch, 2, error)
    report = verify_all(filled, level="integrity")
    assert report.interrupted
    assert not report.findings
    assert [task.status for task in report.tasks] == ["ok"] * 2 + ["unchecked"] * 3
    assert (report.ok, report.exit_code, report.checked) == (False, 5, 2)
    assert not filled.verification_log.verifications()


def test_findings_before_the_interruption_count(
    filled: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage that was found is a finding, with its exit code."""
    from tests.helpers.tampering import rewrite

    rewrite(filled, "UPDATE blobs SET data = ? WHERE digest = ?", b"x", filled["task-0"].digest)
    fail_after(monkeypatch, 2, LOST)
    report = verify_all(filled, level="integrity")
    # The bank as a whole has a finding of its own: a size that does not fit.
    assert [(finding.ref, finding.check) for finding in report.findings] == [
        (None, "schema"),
        ("task-0@1", "weights"),
    ]
    assert report.exit_code == 1


def test_the_table_and_every_report_say_that_it_was_interrupted(
    filled: Bank,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Table, JSON, JUnit and page are there, and none of them is green."""
    terminal = Terminal(filled.url, capsys)
    fail_after(monkeypatch, 2, LOST)
    files = ("--junit", "r.xml", "--report", "r.html")
    shown = terminal("verify-all", "--level", "integrity", *files, code=5)
    assert shown.count("unchecked") == 3
    assert "2 of 5 adapters were checked before" in shown
    assert "interrupted: the bank cannot be reached" in terminal.err
    suite = ET.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("errors"), suite.get("skipped"), suite.get("failures")) == ("1", "3", "0")
    assert "interrupted: 2 of 5 adapters were checked" in (tmp_path / "r.html").read_text()
    fail_after(monkeypatch, 2, LOST)
    found = terminal.json("verify-all", "--level", "integrity", code=5)
    assert (found["ok"], found["interrupted"]) == (False, "the bank cannot be reached")


def test_predictions_before_the_interruption_count(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter whose model could not be read is unchecked, and the run can be resumed."""

    def lost(*_given: object) -> None:
        raise LOST

    with monkeypatch.context() as patch:
        patch.setattr("taskbank.verify.observer.load_model", lost)
        report = verify_all(mood, level="full")
    assert (report.exit_code, report.tasks[0].status, report.findings) == (5, "unchecked", ())
    assert verify_all(mood, level="full", resume=True).ok


def test_a_report_that_cannot_be_written_takes_no_result_with_it(
    filled: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result is printed and recorded, the other file is written, and then the error comes."""

    def full(_report: object, path: Path) -> None:
        raise ResourceError(f"{path} could not be written: No space left on device")

    monkeypatch.setattr("taskbank.verify.junit.write_junit", full)
    terminal = Terminal(filled.url, capsys)
    shown = terminal(
        "verify-all", "--level", "integrity", "--junit", "r.xml", "--report", "r.html", code=5
    )
    assert "5 adapters checked" in shown
    assert "r.xml could not be written: No space left" in terminal.err
    assert Path("r.html").exists()
    assert len(filled.verification_log.verifications()) == 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL server that tests may stop."""
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.close()


@pytest.fixture
def away(server: Server) -> Iterator[Bank]:
    """A bank with three adapters on a server that may be stopped."""
    with create_bank(server.url) as bank:
        for number in range(3):
            bank.put(new_adapter(f"task-{time.time_ns()}", seed=number))
        yield bank
        server.start()


@pytest.mark.server
@pytest.mark.slow
def test_a_server_that_stops_during_a_verification_damages_no_adapter(
    server: Server, away: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped server interrupts; once it is back, everything verifies."""
    real, calls = integrity._adapter_damages, iter(range(1000))

    def check(*given: Any) -> Any:
        if next(calls) == 1:
            server.stop()
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(integrity, "_adapter_damages", check)
        report = verify_all(away, level="integrity")
    assert report.interrupted
    assert "cannot be reached" in report.interrupted
    assert not report.findings
    assert report.checked == 1
    server.start()
    assert verify_all(away, level="integrity").ok


@pytest.mark.server
@pytest.mark.slow
def test_a_trained_task_waits_for_a_server_that_restarts(server: Server, away: Bank) -> None:
    """What was trained is stored once when the server is back, with the trial beside it."""
    server.stop()
    starter = threading.Timer(1.5, server.start)
    starter.start()
    name = f"waiting-{time.time_ns()}"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        storage._put(away, new_adapter(name), new_version=False, trial=new_trial(name))
    starter.join()
    assert "trying again" in str(said[0].message)
    assert [record.version for record in away.adapters(task=name)] == [1]
    assert len(away.trials(name)) == 1


@pytest.mark.server
@pytest.mark.slow
def test_a_commit_whose_answer_was_lost_is_found(
    server: Server, away: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost after COMMIT: the task is there once, and it is said."""
    name, real = f"lost-{time.time_ns()}", Bank.put

    def put(bank: Bank, *given: Any, **more: Any) -> Any:
        monkeypatch.setattr(Bank, "put", real)
        real(bank, *given, **more)
        server.stop()
        threading.Timer(1, server.start).start()
        raise LOST

    monkeypatch.setattr(Bank, "put", put)
    with pytest.warns(UserWarning, match="lost after it was recorded"):
        record = storage._put(away, new_adapter(name), new_version=False, trial=None)
    assert record == away[name]
    assert len(away.adapters(task=name)) == 1
    assert json.dumps(record.to_json())
