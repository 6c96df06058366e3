"""Copies of a bank."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from taskbank.bank import backup
from taskbank.bank.backup import back_up, restore
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.copying.versions import Trials
from taskbank.bank.catalog.sqlite_file import beside
from taskbank.bank.open import create_bank, schema_of, upgrade_bank
from taskbank.errors import ConflictError, DamagedError, InputError, NotFoundError, SchemaError
from taskbank.verify.integrity import check_integrity
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import fill_every_table, new_adapter
from tests.helpers.bank_content import content_of
from tests.helpers.processes import Writer, ended
from tests.helpers.terminal import Terminal

PREVIOUS = Path(__file__).parents[1] / "data" / "previous" / "bank.sqlite"


def test_a_copy_is_a_whole_bank(own: Bank, tmp_path: Path) -> None:
    """The copy has every record, verifies, and lives on by itself."""
    for number in range(3):
        own.put(new_adapter(f"task{number}", seed=number))
    copied = back_up(own.url, "copy.db")
    assert (copied.adapters, copied.blobs) == (3, "catalog")
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.db"]
    with Bank("copy.db") as copy:
        assert list(copy) == list(own)
        assert verify_all(copy, level="integrity").ok
        copy.put(new_adapter("task3", seed=3))
    assert len(own) == 3


def test_a_bank_of_an_older_schema_can_be_copied_before_it_is_upgraded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message that asks for an upgrade names the command, and the command works."""
    old = tmp_path / "old.db"
    old.write_bytes(PREVIOUS.read_bytes())
    with pytest.raises(SchemaError, match="copy the bank with taskbank backup FILE, then run"):
        Bank(old)
    terminal = Terminal(str(old), capsys)
    assert "adapters to copy.db" in terminal("backup", "copy.db")
    schema = schema_of(old)
    upgrade_bank(old)
    assert schema_of("copy.db") == schema != schema_of(old)


def test_an_existing_file_is_never_replaced(own: Bank, tmp_path: Path) -> None:
    """A target that exists is refused, and so is one beside which an old log lies."""
    (tmp_path / "copy.db").write_text("precious")
    beside(tmp_path / "new.db", "-wal").write_text("old")
    for target in ("copy.db", "new.db", str(tmp_path)):
        with pytest.raises(ConflictError, match="exists"):
            back_up(own.url, target)
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_copy_that_fails_leaves_nothing(
    own: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an error nor Ctrl-C in the middle leaves a file."""
    before = sorted(tmp_path.iterdir())

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "_publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        back_up(own.url, "copy.db")
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_system_without_links_takes_copies_too(
    own: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file cannot be linked, it is renamed."""

    def fail(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    assert back_up(own.url, "copy.db").bytes == Path("copy.db").stat().st_size


def test_what_cannot_be_copied_is_refused(own: Bank, tmp_path: Path) -> None:
    """A missing bank, a server, a missing folder and a damaged file each get one clear error."""
    with pytest.raises(NotFoundError, match=r"no bank at nowhere\.db"):
        back_up("nowhere.db", "copy.db")
    with pytest.raises(InputError, match=r"joe:\*\*\*@localhost:1/x cannot be reached"):
        back_up("postgresql://joe:hunter2@localhost:1/x", "copy.db")
    with pytest.raises(InputError, match=r"nowhere/copy\.db could not be written"):
        back_up(own.url, "nowhere/copy.db")
    own.put(new_adapter())
    own.close()
    file = tmp_path / "own.db"
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(byte ^ 255 for byte in data[4096:])
    file.write_bytes(data)
    with pytest.raises(DamagedError):
        back_up(own.url, "copy.db")
    assert not list(tmp_path.glob("*copy.db*"))


def test_a_bank_of_any_database_with_blobs_elsewhere_is_backed_up_whole(
    url: str, tmp_path: Path
) -> None:
    """The file has every blob and says what the bank says; restored, it says the same again."""
    stored = fill_every_table(create_bank(url, "./blobs"))
    copied = back_up(stored.url, "copy.db")
    assert (copied.adapters, copied.blobs) == (2, "catalog")
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    with Bank("copy.db", only_read=True) as copy:
        assert content_of(copy) == content_of(stored)
        assert check_integrity(copy).findings == ()
    restore("copy.db", "restored.db", blobs="./restored")
    with Bank("restored.db") as bank:
        assert bank.blobs_url == f"{tmp_path}/restored"
        assert content_of(bank) == content_of(stored)
        assert check_integrity(bank).findings == ()


def test_an_interrupted_restoration_is_completed_and_another_bank_refused(
    own: Bank, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call brings the rest of the same backup; a bank with versions of its own, or of
    another backup, is left as it is."""
    fill_every_table(own)
    back_up(own.url, "copy.db")
    with monkeypatch.context() as patch:
        patch.setattr(Trials, "insert", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            restore("copy.db", url)
    assert restore("copy.db", url).present == 2
    with Bank(url) as bank:
        assert content_of(bank) == content_of(own)
        bank.put(new_adapter("mine", seed=5))
        head = bank.head()
        with pytest.raises(ConflictError, match="has versions that are not from"):
            restore("copy.db", url)
        assert bank.head() == head
    with pytest.raises(NotFoundError, match=r"no bank at nowhere\.db"):
        restore("nowhere.db", url)


def _interrupt(*_given: object) -> None:
    raise KeyboardInterrupt


def test_a_backup_with_a_damaged_blob_fails_whole(tmp_path: Path) -> None:
    """If a version cannot be copied, the error names it, and there is no file."""
    with create_bank("bank.db", "./blobs") as bank:
        record = bank.put(new_adapter())
        name = record.digest.removeprefix("sha256:")
        (tmp_path / "blobs" / name[:2] / name).write_bytes(b"")
    with pytest.raises(DamagedError, match=r"mood@1 cannot be backed up: blob .* is damaged"):
        back_up("bank.db", "copy.db")
    assert not list(tmp_path.glob("*copy.db*"))


def test_a_copy_of_an_older_schema_says_what_is_not_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With blobs outside of the file, the command names where they are."""
    old = tmp_path / "old.db"
    old.write_bytes(PREVIOUS.read_bytes())
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("DROP TRIGGER bank_no_update")
        connection.execute("UPDATE bank SET blobs = '/some/blobs'")
    said = Terminal("old.db", capsys)("backup", "copy.db")
    assert "not in the copy: both banks read them from /some/blobs" in said
    assert Terminal("old.db", capsys).json("backup", "b.db")["blobs"] == "/some/blobs"


@pytest.mark.process
def test_a_copy_is_consistent_while_another_process_writes(tmp_path: Path) -> None:
    """Copies that are made during writing hold whole adapters only, and more each time."""
    create_bank("bank.db").close()
    writer = Writer(f"{tmp_path}/bank.db", "busy", 12)
    counts: list[int] = []
    while writer.process.is_alive():
        if len(counts) < 3:
            writer.wait_for_one()
        copied = back_up("bank.db", f"copy{len(counts)}.db")
        with Bank(copied.file) as copy:
            assert verify_all(copy, level="integrity").ok
            assert len(copy) == copied.adapters
        counts.append(copied.adapters)
    assert ended(writer.process) == 0
    assert counts == sorted(counts)
