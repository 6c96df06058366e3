"""URLs of blob stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.blobs.url import canonical_blobs_url


def test_a_relative_blob_folder_is_remembered_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog holds the whole path, however it was given."""
    monkeypatch.chdir(tmp_path)
    for given in ("blobs", "./blobs", f"file://{tmp_path}/blobs", str(tmp_path / "blobs")):
        assert canonical_blobs_url(given) == str(tmp_path / "blobs")
