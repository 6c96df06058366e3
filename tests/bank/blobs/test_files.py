"""Blobs as files: their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.blobs.files import FileBlobs, file_name
from taskbank.bank.blobs.folder import Folder
from taskbank.digests import digest_bytes
from taskbank.errors import DamagedError


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../x", "sha256:" + "G" * 64, "md5:" + "0" * 64]
)
def test_only_a_digest_becomes_a_file_name(digest: str) -> None:
    """Whatever a damaged row holds, no path outside the store is made of it."""
    with pytest.raises(DamagedError, match="is not a digest"):
        file_name(digest)


def test_wrong_bytes_are_read_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed on its way is read again; what is wrong twice is damaged."""
    store = FileBlobs(Folder(tmp_path))
    store.stage(b"right")
    answers = [b"wrong", b"right", b"wrong", b"wrong"]
    monkeypatch.setattr(Folder, "read", lambda *_given: answers.pop(0))
    assert store.get(digest_bytes(b"right")) == b"right"
    with pytest.raises(DamagedError, match="is damaged"):
        store.get(digest_bytes(b"right"))
    assert answers == []
