"""`taskbank list`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.adapters import new_adapter
from tests.helpers.terminal import Terminal, process


@pytest.mark.slow
def test_a_long_list_is_cut_for_people_and_whole_for_scripts(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table shows the newest 50 and says so; JSON has all; --limit decides for both."""
    for seed in range(52):
        bank.put(new_adapter(f"task{seed}", seed=seed))
    terminal = Terminal(bank.url, capsys)
    table = terminal("list")
    assert "task51@1" in table
    assert "task1@1" not in table
    assert "the newest 50 of 52" in table
    assert len(terminal.json("list")) == 52
    assert [row["task"] for row in terminal.json("list", "--limit", "2")] == ["task50", "task51"]
    assert "task0@1" in terminal("list", "--limit", "0")


@pytest.mark.process
def test_a_list_is_quick_to_start(mood: Bank) -> None:
    """`taskbank list` imports neither what computes nor what another database or command needs."""
    mood.close()
    found = process("--bank", mood.url, "list", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "sqlalchemy" in imported
    slow = {"numpy", "pandas", "lark", "urllib.request", "sqlalchemy.dialects.postgresql"}
    assert not imported & slow


@pytest.mark.process
def test_a_reader_that_has_seen_enough_is_no_error(mood: Bank) -> None:
    """`taskbank list | head -0` ends without a traceback."""
    mood.close()
    command = shutil.which("taskbank", path=str(Path(sys.executable).parent))
    line = f"{command} --bank {mood.url} list --json | true"
    found = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in found.stderr
