"""Export: where it writes, and which formats it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import InputError


def test_an_unknown_format_is_refused_with_those_that_are_known(mood: Bank, tmp_path: Path) -> None:
    """An unknown format is an error that lists the known ones, and no folder is made."""
    with pytest.raises(InputError, match=r"'csv' is unknown: taskbank knows taskbank"):
        taskbank.export_adapter(mood, "mood", tmp_path / "out", format="csv")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_refused_before_anything_is_computed(
    mood: Bank, tmp_path: Path
) -> None:
    """A folder that is not empty is refused before the adapter is looked up."""
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        taskbank.export_adapter(mood, "no-such-task", tmp_path)
