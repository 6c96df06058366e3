"""Checks of names, texts and paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.checks import check_writable
from taskbank.errors import InputError


def test_an_unwritable_report_is_noticed_first(tmp_path: Path) -> None:
    """A folder that is not there is said before anything is predicted."""
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "nowhere" / "report.html")
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path)
