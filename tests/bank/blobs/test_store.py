"""What each blob store does beyond what the bank's tests ask of all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.blobs.folder import FolderBlobs
from taskbank.bank.blobs.store import file_name
from taskbank.bank.blobs.url import canonical_blobs_url
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import BankError, DamagedError
from taskbank.verify.verify import verify_all
from tests.helpers.making import new_adapter


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../x", "sha256:" + "G" * 64, "md5:" + "0" * 64]
)
def test_only_a_digest_becomes_a_file_name(digest: str) -> None:
    """Whatever a damaged row holds, no path outside the store is made of it."""
    with pytest.raises(DamagedError, match="is not a digest"):
        file_name(digest)


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


def test_gc_takes_blobs_that_a_crash_left_and_put_brings_back_what_gc_took(
    tmp_path: Path,
) -> None:
    """A blob without a row is garbage; one that gc takes between staging and recording is
    written again, so that no row is ever without its bytes."""
    with create_bank(f"sqlite:///{tmp_path}/bank.db", str(tmp_path / "blobs")) as bank:
        bank.blobs.stage(b"left by a crash")
        new = new_adapter()
        real = bank.blobs.stage

        def stage_then_collect(data: bytes) -> None:
            real(data)
            if data == new.splits[0].logits:  # the last to be staged
                bank.blobs.stage = real  # type: ignore[method-assign]
                assert bank.gc(confirm=True).blobs == 4

        bank.blobs.stage = stage_then_collect  # type: ignore[method-assign]
        bank.put(new)
        assert verify_all(bank, level="integrity").ok
        assert len(list(bank.blobs.sizes())) == 3


def test_a_relative_blob_folder_is_remembered_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog holds the whole path, however it was given."""
    monkeypatch.chdir(tmp_path)
    for given in ("blobs", "./blobs", f"file://{tmp_path}/blobs", str(tmp_path / "blobs")):
        assert canonical_blobs_url(given) == str(tmp_path / "blobs")


def test_a_failing_remote_store_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a driver raises becomes an error of the bank that names the store."""
    from taskbank.bank.blobs.remote import RemoteBlobs

    store: Any = RemoteBlobs("memory://somewhere")

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("connection reset")

    monkeypatch.setattr(type(store.files), "pipe_file", fail)
    with pytest.raises(BankError, match=r"memory://somewhere failed: connection reset"):
        store.stage(b"new bytes")
