"""Processes that hold locks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskbank.bank.catalog import lock_holders as module
from taskbank.bank.catalog.lock_holders import lock_holders


def test_only_writers_of_the_file_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers, waiting processes, other files and unknown processes are left out."""
    (tmp_path / "bank.db").touch()
    inode = (tmp_path / "bank.db").stat().st_ino
    lines = [
        f"1: POSIX  ADVISORY  WRITE {os.getpid()} fe:00:{inode} 120 120",
        f"2: POSIX  ADVISORY  READ 12 fe:00:{inode} 123 123",
        f"2: -> POSIX  ADVISORY  WRITE 13 fe:00:{inode} 120 120",
        f"3: POSIX  ADVISORY  WRITE 14 fe:00:{inode + 1} 120 120",
        f"4: POSIX  ADVISORY  WRITE -1 fe:00:{inode} 120 120",
        f"5: POSIX  ADVISORY  WRITE 999999999 fe:00:{inode} 120 120",
    ]
    monkeypatch.setattr(module, "LOCKS", tmp_path / "locks")
    (tmp_path / "locks").write_text("\n".join(lines))
    assert lock_holders((tmp_path / "bank.db", tmp_path / "missing")) == [
        f"process {os.getpid()}, which is this one",
        "process 999999999",
    ]


def test_where_locks_are_not_listed_nobody_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the system's list there is no answer and no error."""
    monkeypatch.setattr(module, "LOCKS", tmp_path / "missing")
    assert lock_holders((tmp_path,)) == []
