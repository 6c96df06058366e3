"""The attacks, a few attempts each: they count, and break no promise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.verification.attacks import blobs, import_folders, queries
from taskbank.interchange import fit


def test_queries_are_answered_or_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some queries of every sort, of which one in two is asked."""
    monkeypatch.setattr(sys, "argv", ["queries", "--number", "60", "--every", "2"])
    assert queries.main() == 0
    assert "60 attempts" in capsys.readouterr().out


@pytest.mark.slow
def test_hostile_folders_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """Some spoiled folders of every sort."""
    for name in ("load_backbone", "load_recorded_backbone"):  # the attack replaces them
        monkeypatch.setitem(vars(fit), name, vars(fit)[name])
    monkeypatch.setattr(
        sys, "argv", ["import_folders", "--number", "60", "--backbone", str(folder)]
    )
    assert import_folders.main() == 0
    assert "0 broken promises" in capsys.readouterr().out


@pytest.mark.slow
def test_damaged_bytes_are_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """Some damage to a folder of blobs, to a table of blobs and to the files of banks."""
    monkeypatch.setattr(sys, "argv", ["blobs", "--number", "12", "--backbone", str(folder)])
    assert blobs.main() == 0
    assert "12 attempts" in capsys.readouterr().out
