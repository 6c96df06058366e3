"""`taskbank tolerance`."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run


def test_a_tolerance_of_no_task_is_an_error(mood: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    """`taskbank tolerance NAME` shows that task's, and says if there is no such task."""
    base = ["--bank", mood.url, "tolerance"]
    assert run([*base, "nothing"]) == 2
    assert run([*base, "mood"]) == 0
    assert "mood has no tolerance" in capsys.readouterr().out
