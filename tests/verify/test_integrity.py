"""The integrity check finds every changed byte, row and trigger."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from taskbank.bank.open import create_bank
from taskbank.data.examples import Examples
from taskbank.errors import DamagedError, InputError, NotFoundError, ResourceError
from taskbank.verify.integrity import check_integrity
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import (
    new_adapter,
    new_scored_split,
    new_trial,
    record_byte_check,
    record_finding,
    training_rows,
)
from tests.helpers.findings import messages
from tests.helpers.tampering import rewrite


def test_integrity_is_checked_on_either_database(bank: Bank) -> None:
    """Every adapter in use is checked, the retired one is not, and a choice is respected."""
    for seed in range(3):
        bank.put(new_adapter("mood", seed=seed), new_version=True)
    bank.put(new_adapter("other", seed=9))
    bank.remove("mood@1")
    bank.alias("mood@2", "production")
    assert verify_all(bank, level="integrity").checked == 3
    assert verify_all(bank, ["mood"], level="integrity").checked == 2
    for ref in ("mood@3", "mood@production"):
        assert verify_all(bank, [ref], level="integrity").checked == 1
    with pytest.raises(NotFoundError):
        verify_all(bank, ["nothing"], level="integrity")
    with pytest.raises(InputError, match="tolerance"):
        verify_all(bank, tolerance=2)
    with pytest.raises(InputError, match="level 'deep'"):
        verify_all(bank, level="deep")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    "table", ["tasks", "adapters", "aliases", "tags", "predictions", "splits", "trials"]
)
def test_one_task_is_checked_without_the_others(tmp_path: Path, table: str) -> None:
    """What was changed of a task is found when that one is verified, and not with another."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        for number, task in enumerate(("one", "two")):
            bank.put(new_adapter(task, seed=number))
            bank.alias(f"{task}@1", "production")
            bank.put_trial(new_trial(task, seed=number))
        others = {"tasks": "kind", "aliases": "set_at", "tags": "value", "splits": "created_at"}
        column = others.get(table, "digest")
        rewrite(
            bank,
            f"UPDATE {table} SET {column} = '9' || substr({column}, 2) "
            f"WHERE id = (SELECT max(id) FROM {table})",
        )
        assert verify_all(bank, ["one"], level="integrity").ok
        assert not verify_all(bank, ["two"], level="integrity").ok


def test_what_was_found_before_a_failure_counts(own: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the very adapter whose check a store interrupted."""
    record = own.put(new_adapter("one"))
    own.put(new_adapter("two", seed=1))
    rewrite(own, "UPDATE blobs SET data = zeroblob(size) WHERE digest = ?", record.digest)
    read = own._blobs.get

    def fail(digest: str) -> bytes:
        if digest == record.splits[0].digest:
            raise ResourceError("the disk is away")
        return read(digest)

    monkeypatch.setattr(own._blobs, "get", fail)
    found = check_integrity(own)
    assert found.interrupted == "the disk is away"
    assert [(one.task, one.check) for one in found.findings] == [("one", "weights")]
    assert found.subjects == ()
    assert [adapter.status for adapter in found.adapters] == ["damaged", "unchecked"]


def _columns() -> list[tuple[str, str]]:
    texts = ("VARCHAR", "TEXT", "JSON")
    return [
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if str(column.type).upper().startswith(texts)
    ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite bank that is intact and has a row in every table; copy its file."""
    place = tmp_path_factory.mktemp("filled") / "bank.db"
    with create_bank(f"sqlite:///{place}") as bank:
        train = Examples({"text": ("a", "b"), "label": ("bad", "good")}, "train.csv")
        bank.put(new_adapter("one", **training_rows(train)))
        bank.put(new_adapter("two", seed=1))
        bank.alias("one@1", "production")
        bank.put(new_adapter("gone", seed=2))
        bank.remove("gone@1")
        bank.put_trial(new_trial(seed=3))
        bank.put_split("one", new_scored_split())
        record_byte_check(bank)
        assert verify_all(bank, level="integrity").ok
        record_finding(bank, "one")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("mask", [0x01, 0x80])
@pytest.mark.parametrize(("table", "column"), _columns())
def test_a_flipped_byte_in_any_text_column_is_found(
    filled: Path, tmp_path: Path, table: str, column: str, mask: int
) -> None:
    """XOR with a constant always changes a byte; wherever it is, it is found or refused, and
    what was not touched is still checked."""
    shutil.copy(filled, tmp_path / "bank.db")
    with Bank(f"sqlite:///{tmp_path}/bank.db") as bank:
        with sqlite3.connect(tmp_path / "bank.db") as connection:
            connection.text_factory = bytes
            found = connection.execute(
                f'SELECT rowid, "{column}" FROM {table} WHERE "{column}" != \'\' LIMIT 1'
            ).fetchone()
        connection.close()
        assert found is not None
        row, value = found
        middle = len(value) // 2
        flipped = value[:middle] + bytes([value[middle] ^ mask]) + value[middle + 1 :]
        rewrite(
            bank, f'UPDATE {table} SET "{column}" = CAST(? AS TEXT) WHERE rowid = ?', flipped, row
        )
        if table == "bank":
            with pytest.raises(DamagedError, match=r"was changed|cannot be read"):
                Bank(bank.url)
            return
        report = verify_all(bank, level="integrity")
    assert not report.ok
    assert report.checked >= 2
    if table in ("adapters", "tags", "metrics", "predictions", "scored_splits"):
        (finding,) = [one for one in report.findings if one.check != "schema"]
        assert finding.task in ("one", "two", "gone")
        damaged = [task.task for task in report.tasks if task.status != "ok"]
        assert damaged == [finding.task] * (finding.task != "gone")


@pytest.mark.slow
def test_a_flipped_byte_in_any_blob_is_found(mood: Bank) -> None:
    """Weights, splits and predictions: a changed byte anywhere makes the task damaged."""
    for digest, size in list(mood._blobs.sizes()):
        data = mood.blob(digest)
        place = size // 2
        flipped = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        rewrite(mood, "UPDATE blobs SET data = ? WHERE digest = ?", flipped, digest)
        report = verify_all(mood)
        assert [task.status for task in report.tasks] == ["damaged"]
        assert digest in messages(report)
        rewrite(mood, "UPDATE blobs SET data = ? WHERE digest = ?", data, digest)
    assert verify_all(mood).ok


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM metrics WHERE name = 'accuracy'", "changed, removed or added"),
        ("DELETE FROM tags", "changed, removed or added"),
        ("DELETE FROM predictions WHERE split = 'test'", "changed, removed or added"),
        ("DELETE FROM blobs", "is missing"),
        (
            "INSERT INTO tags (adapter_id, key, value) VALUES (1, 'a', 'b')",
            "changed, removed or added",
        ),
        ("UPDATE adapters SET score = 0.999", "was changed"),
        ("UPDATE adapters SET parameters = 7", "was changed"),
        ("UPDATE metrics SET value = 1", "were changed"),
        ("DELETE FROM backbones", "its row of table 'backbones' is missing"),
        ("DELETE FROM tasks", "its row of table 'tasks' is missing"),
        ("DROP TRIGGER blobs_no_delete", "blobs_no_delete"),
    ],
)
def test_rows_changed_behind_the_banks_back_are_found(
    mood: Bank, statement: str, says: str
) -> None:
    """Lost, added and changed rows and a missing trigger are findings, not tracebacks."""
    if statement.startswith("DROP"):
        with sqlite3.connect(str(mood._engine.url.database)) as connection:
            connection.execute(statement)
        connection.close()
    else:
        rewrite(mood, statement)
    report = verify_all(mood, level="integrity")
    assert not report.ok
    assert says in messages(report)
