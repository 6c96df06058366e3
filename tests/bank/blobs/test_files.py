"""Blobs as files: their names."""

from __future__ import annotations

import pytest

from taskbank.bank.blobs.files import file_name
from taskbank.errors import DamagedError


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../x", "sha256:" + "G" * 64, "md5:" + "0" * 64]
)
def test_only_a_digest_becomes_a_file_name(digest: str) -> None:
    """Whatever a damaged row holds, no path outside the store is made of it."""
    with pytest.raises(DamagedError, match="is not a digest"):
        file_name(digest)
