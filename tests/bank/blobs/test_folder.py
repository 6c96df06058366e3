"""Blobs in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskbank.bank.blobs.folder import FolderBlobs
from taskbank.bank.blobs.store import file_name
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import BankError, DamagedError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter


def test_a_folder_blob_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the rename leaves no file under a blob's name, and gc does not see it."""
    store = FolderBlobs(tmp_path)

    def crash(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(BankError, match="No space left"):
        store.stage(b"some bytes")
    assert list(store.sizes()) == []
    with pytest.raises(DamagedError, match="is missing"):
        store.get(digest_bytes(b"some bytes"))
    monkeypatch.undo()
    store.stage(b"some bytes")
    assert store.get(digest_bytes(b"some bytes")) == b"some bytes"


def test_a_flipped_byte_of_a_folder_blob_is_found(tmp_path: Path) -> None:
    """Files outside the catalog are checked against their digests like rows in it."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        record = bank.put(new_adapter())
        path = tmp_path / "blobs" / file_name(record.digest)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        (finding,) = verify_all(bank, level="integrity").findings
        assert record.digest in finding.message
        path.unlink()
        (finding,) = verify_all(bank, level="integrity").findings
        assert "is missing" in finding.message
