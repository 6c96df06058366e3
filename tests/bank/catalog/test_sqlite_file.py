"""The file of a SQLite bank: whole at rest, readable where nothing can be written, and locked."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog import sqlite_file
from taskbank.bank.catalog.backbones import add_backbone
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.open import create_bank, upgrade_bank
from taskbank.errors import InputError, NotWritableError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import identity, new_adapter
from tests.helpers.terminal import Terminal
from tests.helpers.writes import WRITES


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a closed bank with one adapter."""
    path = tmp_path / "bank.db"
    with create_bank(path) as bank:
        bank.put(new_adapter("one"))
    return path


@pytest.fixture
def read_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a bank that this user cannot write to, and that is not written to."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    before = {path: path.read_bytes() for path in file.parent.glob("bank.db*")}
    yield file
    assert {path: path.read_bytes() for path in file.parent.glob("bank.db*")} == before


def tasks_in_copy(file: Path) -> list[str]:
    """Return the tasks in a copy of a file alone, without what lies beside it."""
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)
    with Bank(copy) as bank:
        return [record.task for record in bank]


def leave_log(file: Path) -> None:
    """Record a backbone in the log only, and leave both as a killed process would."""
    kept = file.with_name("kept")
    kept.mkdir()
    with Bank(file) as bank:
        with write_transaction(bank._engine, lasting=False) as connection:
            add_backbone(connection, identity("late"))
        for path in (file, sqlite_file.beside(file, "-wal")):
            shutil.copy(path, kept / path.name)
    for path in kept.iterdir():
        path.replace(file.parent / path.name)


def test_a_file_is_the_whole_bank_while_others_hold_it_open(file: Path) -> None:
    """After every write a copy of the file alone has everything, whoever else has it open."""
    with Bank(file) as other, Bank(file) as bank:
        assert len(other) == 1
        bank.put(new_adapter("two", seed=1))
        assert tasks_in_copy(file) == ["one", "two"]
        bank.add_backbone(identity("other"))
        bank.remove("one@1")
        assert tasks_in_copy(file) == ["two"]
        assert [record.task for record in other] == ["two"]


def test_a_reader_delays_the_file_no_longer_than_it_reads(file: Path) -> None:
    """A reader of an earlier state keeps its state, blocks no writer, and catches up at its end."""
    with Bank(file) as reader, Bank(file) as bank:
        with reader.raw_rows() as rows:
            started = time.monotonic()
            bank.put(new_adapter("two", seed=1))
            assert time.monotonic() - started < 5
            assert len(rows.tables["adapters"]) == 1
        assert tasks_in_copy(file) == ["one"]
        reader.close()
        assert tasks_in_copy(file) == ["one", "two"]


def test_what_a_killed_process_left_in_the_log_is_recovered_on_opening(file: Path) -> None:
    """The next process that opens the bank brings the log into the file."""
    leave_log(file)
    assert sqlite_file.beside(file, "-wal").stat().st_size > 0
    with Bank(file):
        assert sqlite_file.beside(file, "-wal").stat().st_size == 0
        with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as alone:
            assert alone.execute("SELECT count(*) FROM backbones").fetchone() == (2,)


def test_a_full_disk_after_the_commit_loses_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the log cannot be copied into the file, the record stands, and a warning says so."""
    real = sqlite_file._waiting

    def full(connection: Any, seconds: float) -> Any:
        if seconds == sqlite_file.CHECKPOINT_TIMEOUT:
            raise sqlite3.OperationalError("disk full")
        return real(connection, seconds)

    with Bank(file) as bank:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_file, "_waiting", full)
            with pytest.warns(UserWarning, match=r"not yet in .*\(disk full\): .*taskbank backup"):
                bank.add_backbone(identity("late"))
        assert len(bank.backbones()) == 2


def test_a_read_only_bank_can_be_read(read_only: Path) -> None:
    """Everything that only reads works, also when many connections are opened."""
    with Bank(read_only) as bank:
        assert [record.task for record in bank] == ["one"]
        assert bank.query("score >= 0")[0].task == "one"
        assert bank.weights(bank["one"])
        report = verify_all(bank, level="integrity")
        assert report.ok
        assert report.checked == 1
        assert "is read-only" in (report.unrecorded or "")


@pytest.mark.parametrize("write", [*WRITES, lambda bank: upgrade_bank(bank.url)])
def test_a_read_only_bank_refuses_to_be_written_to(read_only: Path, write: Any) -> None:
    """Everything that records is one error of bad input that names the bank."""
    with Bank(read_only) as bank, pytest.raises(NotWritableError, match=r"bank\.db is read-only"):
        write(bank)


def test_a_verification_of_a_read_only_bank_exits_by_its_findings(
    read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify-all` says that it was not recorded; commands that record exit with 2."""
    terminal = Terminal(str(read_only), capsys)
    assert "was not recorded: the bank" in terminal("verify-all", "--level", "integrity")
    assert "one@1" in terminal("list")
    terminal("remove", "one@1", code=2)
    assert terminal.err.count("\n") == 1


def test_a_read_only_bank_is_read_with_its_log(file: Path, request: pytest.FixtureRequest) -> None:
    """What a killed process left in the log is read, though it cannot be brought into the file."""
    leave_log(file)
    request.getfixturevalue("read_only")
    with Bank(file) as bank:
        assert len(bank.backbones()) == 2


def test_a_read_only_bank_is_read_beside_its_writer(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process writes, its locks are used and its newest records are seen."""
    with Bank(file) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_file, "is_read_only", lambda _: True)
            reader = Bank(file)
        assert len(reader) == 1
        writer.put(new_adapter("two", seed=1))
        assert len(reader) == 2
        reader.close()


def test_a_file_that_changes_while_it_is_read_without_locks_is_not_believed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that appears in the middle of such a reading makes it an error."""
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_file, "is_read_only", lambda _: True)
        reader = Bank(file)
    with (
        pytest.raises(InputError, match="changed by another process"),
        reader.raw_rows(),
        Bank(file) as writer,
    ):
        writer.put(new_adapter("two", seed=1))
    assert len(reader) == 2


def test_a_locked_bank_is_bad_input_after_a_time_that_can_be_set(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer waits as long as the environment says, and names the process that has the lock."""
    monkeypatch.setenv("TASKBANK_LOCK_TIMEOUT", "0.05")
    with closing(sqlite3.connect(file, isolation_level=None)) as other, Bank(file) as bank:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotWritableError, match=r"locked by another.*after 0\.05 s") as caught:
            bank.remove("one@1")
        assert f"process {os.getpid()}" in str(caught.value)
        report = verify_all(bank, level="integrity")
        assert report.ok
        assert "locked" in (report.unrecorded or "")
        other.execute("ROLLBACK")
        bank.remove("one@1")


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_an_impossible_time_to_wait_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The environment variable must be a number of seconds."""
    monkeypatch.setenv("TASKBANK_LOCK_TIMEOUT", text)
    with pytest.raises(InputError, match=f"TASKBANK_LOCK_TIMEOUT is '{text}'"):
        Bank(file)
