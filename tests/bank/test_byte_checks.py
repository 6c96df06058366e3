"""Bytes in an object store are not read again while the store lists them as it did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from taskbank.backbone.backbone import Backbone
from taskbank.bank import byte_checks
from taskbank.bank.bank import Bank
from taskbank.bank.blobs.files import FileBlobs, Files, file_name
from taskbank.bank.catalog.database import read_transaction
from taskbank.bank.catalog.tables import ByteCheckRow
from taskbank.bank.open import create_bank
from taskbank.errors import NotWritableError
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from taskbank.verify.integrity import Integrity, check_integrity
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import (
    DEFINITION,
    new_adapter,
    new_scored_split,
    new_trial,
    put_model,
)
from tests.helpers.object_stores import S3, new_place
from tests.helpers.tampering import rewrite

pytestmark = pytest.mark.server
TASKS = ("one", "two", "three")
RECORDED = 4  # the adapters and a trial


@pytest.fixture
def filled(s3: S3, tmp_path: Path) -> Iterator[Bank]:
    """A SQLite bank with its blobs on S3: three adapters, a trial and an observation."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", new_place("s3")) as bank:
        for seed, task in enumerate(TASKS):
            bank.put(new_adapter(task, seed=seed))
        bank.put_split("one", new_scored_split())
        bank.put_trial(new_trial(seed=9))
        yield bank


def check(bank: Bank, s3: S3, *, rely: bool = True) -> tuple[Integrity, int]:
    """Check a bank's integrity; return the result, and how many blobs were read."""
    s3.seen.clear()
    found = check_integrity(bank, rely=rely)
    assert found.interrupted is None
    # A listing is of the bucket itself.
    return found, sum(one.startswith("GET") and one.count("/") > 3 for one in s3.seen)


def place_of(bank: Bank, digest: str) -> tuple[Files, str]:
    """Return the files of a bank's store, and the name of a blob's file there."""
    assert isinstance(bank._blobs, FileBlobs)
    return bank._blobs.files, file_name(digest)


def count_checks(bank: Bank) -> int:
    """Return how many checks of bytes are recorded."""
    with read_transaction(bank._engine) as connection:
        return int(connection.execute(select(func.count(ByteCheckRow.id))).scalar_one())


def test_what_the_store_lists_as_before_is_not_read_again(filled: Bank, s3: S3) -> None:
    """Only what is new is read and recorded; whoever does not rely on the store reads all."""
    first, read = check(filled, s3)
    assert (first.unread, first.findings) == (0, ())
    blobs = {blob for blob, _ in filled._blobs.sizes()}
    assert read == len(blobs)
    assert count_checks(filled) == RECORDED
    again, read = check(filled, s3)
    assert (again.unread, again.findings, read) == (3, (), 0)
    everything, read = check(filled, s3, rely=False)
    assert (everything.unread, read) == (0, len(blobs))
    filled.put(new_adapter("four", seed=4))
    later, read = check(filled, s3)
    assert (later.unread, read) == (3, 3)
    assert count_checks(filled) == RECORDED + 1


@pytest.mark.parametrize("which", ["weights", "trial"])
def test_a_file_that_was_written_behind_the_banks_back_is_read(
    filled: Bank, s3: S3, which: str
) -> None:
    """Bytes of the same length that replace a blob are a finding, as is a blob that is gone."""
    record = filled["one"]
    digest = record.digest if which == "weights" else str(filled.trials()[0].digest)
    check(filled, s3)
    files, name = place_of(filled, digest)
    data = files.read(name)
    assert data is not None
    files.write(name, bytes([data[0] ^ 1]) + data[1:])
    for _ in range(2):  # what is damaged stays a finding
        found, read = check(filled, s3)
        assert read >= 1
        (finding,) = found.findings
        assert "is damaged" in finding.message
        assert finding.task == (None if which == "trial" else "one")
    files.remove(name)
    assert "is missing" in check(filled, s3)[0].findings[0].message
    files.write(name, data)
    assert check(filled, s3)[0].findings == ()
    assert check(filled, s3)[1] == 0


def test_a_row_without_intact_evidence_is_read(filled: Bank, s3: S3) -> None:
    """A damaged record of a check counts for nothing, and is a finding itself."""
    check(filled, s3)
    rewrite(
        filled,
        "UPDATE byte_checks SET checked_at = '2020' WHERE of_table = 'adapters' AND row_id = 1",
    )
    found, read = check(filled, s3)
    assert found.unread == 2
    assert read >= 3
    assert [finding.check for finding in found.findings] == ["row"]


def test_nothing_is_recorded_where_it_must_not_be(
    filled: Bank, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of single tasks, not of what is only tried out, and not if the bank takes no writes."""
    check_integrity(filled, [("one", None)], rely=True)
    check_integrity(filled, record=False)
    with monkeypatch.context() as patch:
        patch.setattr(byte_checks, "write_transaction", refuse)
        assert check(filled, s3)[0].findings == ()
    assert count_checks(filled) == 0


def refuse(*_given: object, **_named: object) -> None:
    """Be a bank that is read-only."""
    raise NotWritableError("the bank is read-only")


def test_a_verification_says_what_it_did_not_read(
    s3: S3, tmp_path: Path, backbone: Backbone
) -> None:
    """Level changed relies on the store, and its report says for how many; no other level does."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", new_place("s3")) as bank:
        model = task_model(backbone, SINGLE, DEFINITION, "houlsby", {"size": 2}, seed=0)
        put_model(bank, "one", model, {"size": 2})
        unread = [
            verify_all(bank, level=level, backbone=backbone).unread
            for level in ("changed", "changed", "integrity", "canary", "full")
        ]
        assert unread == [0, 1, 0, 0, 0]
        report = verify_all(bank, level="changed", backbone=backbone)
        assert report.to_json()["unread"] == report.confirmed == 1
