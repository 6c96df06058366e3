"""Blobs in a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from taskbank.bank.blobs import folder
from taskbank.bank.blobs.files import UNFINISHED, FileBlobs, file_name
from taskbank.bank.blobs.folder import Folder
from taskbank.bank.open import create_bank
from taskbank.digests import digest_bytes
from taskbank.errors import BankError, DamagedError, ResourceError
from taskbank.runtime.regular_file import read_regular
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter


def test_a_folder_blob_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the rename leaves no file under a blob's name, and gc does not see it."""
    store = FileBlobs(Folder(tmp_path))

    def crash(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(ResourceError, match="No space left"):
        store.stage(b"some bytes")
    assert list(store.sizes()) == []
    assert list(store.leftovers()) == []
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


def test_what_is_no_file_is_no_blob_and_is_replaced_where_possible(tmp_path: Path) -> None:
    """A pipe in a blob's place is missing bytes that storing writes; a folder is named."""
    data = b"some bytes"
    store, path = FileBlobs(Folder(tmp_path)), tmp_path / file_name(digest_bytes(data))
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(DamagedError, match="is missing"):
        store.get(digest_bytes(data))
    assert list(store.sizes()) == []
    assert [one.name for one in store.leftovers()] == [file_name(digest_bytes(data))]
    store.stage(data)
    assert store.get(digest_bytes(data)) == data
    path.unlink()
    path.mkdir()
    with pytest.raises(BankError, match=r"is a folder where a file .* belongs: move it away"):
        store.stage(data)


def test_unreadable_files_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that may not be read is an error that names it, and storing writes another."""
    data = b"some bytes"
    store = FileBlobs(Folder(tmp_path))
    store.stage(data)

    def denied(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ResourceError, match=f"{tmp_path}.*could not be read: Permission denied"):
        store.get(digest_bytes(data))


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO])
def test_a_file_that_was_replaced_over_the_network_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Once; a disk that fails is an error at once, as trying again does not mend it."""
    store = FileBlobs(Folder(tmp_path))
    store.stage(b"some bytes")
    failures = [code]

    def read(path: Path) -> bytes:
        if failures:
            raise OSError(failures[0], os.strerror(failures.pop()), str(path))
        return read_regular(path)

    monkeypatch.setattr(folder, "read_regular", read)
    if code == errno.ESTALE:
        assert store.get(digest_bytes(b"some bytes")) == b"some bytes"
    else:
        with pytest.raises(ResourceError, match="could not be read: Input/output error"):
            store.get(digest_bytes(b"some bytes"))


def test_blobs_are_as_readable_as_the_umask_allows(tmp_path: Path) -> None:
    """Where a group shares a folder, it can read the blobs and the bank's mark there."""
    before = os.umask(0o027)
    try:
        url = f"sqlite:///{tmp_path}/bank.db"
        with create_bank(url, str(tmp_path / "blobs")) as bank:
            bank.put(new_adapter())
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    assert len(files) == 4
    assert not any(path.name.startswith(UNFINISHED) for path in files)
