"""What every blob store does: in the catalog, in a folder and behind a URL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.bank import Bank
from taskbank.bank.blobs.files import FileBlobs, file_name
from taskbank.bank.blobs.sql import CatalogBlobs
from taskbank.bank.catalog.database import write_transaction
from taskbank.digests import digest_bytes
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter
from tests.helpers.tampering import without_triggers

DATA = new_adapter().weights


def overwrite(bank: Bank, digest: str, data: bytes | None) -> None:
    """Put other bytes in a blob's place, or none, behind the bank's back."""
    if isinstance(bank._blobs, FileBlobs):
        files = bank._blobs.files
        files.remove(file_name(digest))
        if data is not None:
            files.write(file_name(digest), data)
        return
    with without_triggers(bank) as connection:
        connection.execute(text("DELETE FROM blobs WHERE digest = :d"), {"d": digest})
        if data is not None:
            row = {"d": digest, "s": len(data), "b": data}
            connection.execute(text("INSERT INTO blobs VALUES (:d, :s, :b)"), row)


WRONG: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "cut": lambda data: data[:-1],
    "flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "longer": lambda data: data + b"x",
    "other": lambda data: b"\0" * len(data),
}


@pytest.mark.parametrize("how", WRONG)
def test_storing_repairs_what_differs(stored: Bank, how: str) -> None:
    """A blob that is damaged in any way is found, and is whole once its bytes are stored again."""
    record = stored.put(new_adapter())
    overwrite(stored, record.digest, WRONG[how](DATA))
    (finding,) = verify_all(stored, level="integrity").findings
    assert record.digest in finding.message
    assert "restore the bank from a copy, or remove the task and add it again" in finding.message
    stored.put(new_adapter("other"))  # it has the same bytes
    assert stored.weights(record) == DATA
    assert verify_all(stored, level="integrity").ok


@pytest.mark.parametrize("how", ["missing", "flipped"])
def test_a_damaged_task_is_repaired_as_advised(stored: Bank, how: str) -> None:
    """Removing the task and adding it again gives a sound bank, and so does a restored copy."""
    new = new_adapter()
    record = stored.put(new)
    blobs = (new.weights, new.splits[0].examples, new.splits[0].logits)
    for data in blobs:
        overwrite(stored, digest_bytes(data), WRONG[how](data))
        assert not verify_all(stored, level="integrity").ok
        overwrite(stored, digest_bytes(data), data)  # from a copy
        assert verify_all(stored, level="integrity").ok
    for data in blobs:
        overwrite(stored, digest_bytes(data), WRONG[how](data))
    stored.remove(record.ref)
    again = stored.put(new, new_version=True)
    assert verify_all(stored, level="integrity").ok
    assert stored.weights(again) == DATA
    stored.gc(confirm=True)
    assert verify_all(stored, level="integrity").ok


def test_only_a_damaged_blob_of_the_catalog_can_be_replaced(bank: Bank) -> None:
    """The database lets a row of blobs change only to bytes with its digest, if it has others."""
    record = bank.put(new_adapter())
    assert isinstance(bank._blobs, CatalogBlobs)
    update = text("UPDATE blobs SET data = :b, size = :s WHERE digest = :d")
    for data in (DATA, b"", DATA[:-1], DATA + b"x"):
        row = {"d": record.digest, "s": len(data), "b": data}
        with (
            pytest.raises(DBAPIError, match="blobs rows never change"),
            bank._engine.begin() as connection,
        ):
            connection.execute(update, row)
    overwrite(bank, record.digest, b"other")
    with (
        pytest.raises(DBAPIError, match="blobs rows never change"),
        bank._engine.begin() as connection,
    ):
        connection.execute(update, {"d": record.digest, "s": 4, "b": b"evil"})
    with write_transaction(bank._engine) as connection:
        connection.execute(update, {"d": record.digest, "s": len(DATA), "b": DATA})
    assert bank.weights(record) == DATA


def test_put_brings_back_what_gc_took(stored: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that gc takes between staging and recording is written again, so that no row is ever
    without its bytes."""
    new = new_adapter()
    stored.put(new)
    stored.remove("mood@1")
    store = type(stored._blobs)
    real = store.stage

    def stage_then_collect(self: FileBlobs, data: bytes) -> None:
        real(self, data)
        if data == new.splits[0].logits:  # the last to be staged
            monkeypatch.undo()
            assert stored.gc(confirm=True).blobs == 3

    monkeypatch.setattr(store, "stage", stage_then_collect)
    stored.put(new, new_version=True)
    assert verify_all(stored, level="integrity").ok
    assert len(list(stored._blobs.sizes())) == 3
