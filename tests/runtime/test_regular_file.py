"""Files that others made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskbank.runtime.regular_file import read_regular


def test_only_regular_files_within_the_limit_are_read(tmp_path: Path) -> None:
    """A file and a link to one are read; a pipe, a device, a folder and a large file are not."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(path)
    assert read_regular(path) == read_regular(tmp_path / "link", 5) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    for bad, says in (
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "nothing", "No such file"),
    ):
        with pytest.raises(OSError, match=says):
            read_regular(bad)
    with pytest.raises(OSError, match="5 bytes are more than the maximum of 4"):
        read_regular(path, 4)
