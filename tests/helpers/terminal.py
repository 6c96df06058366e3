"""A terminal that runs commands in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskbank.cli import text_table, trials
from taskbank.cli.main import run
from taskbank.cli.text_table import print_table


class Terminal:
    """Runs commands in this process, on one bank."""

    def __init__(self, bank: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.bank = bank
        self.capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command, expect its exit code, and return what it printed."""
        found = run(["--bank", self.bank, *arguments])
        said = self.capsys.readouterr()
        assert found == code, said
        self.err = said.err
        return said.out

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json and return what it printed."""
        return json.loads(self(*arguments, "--json", code=code))


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own."""
    command = str(Path(sys.executable).with_name("taskbank"))
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


class Screen:
    """A terminal of some width, and what was printed since it was last asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def widen(self, width: int | None) -> None:
        """Be a terminal of a width, or none."""
        for module in (text_table, trials):
            self.monkeypatch.setattr(module, "terminal_width", lambda: width)

    def table(self, width: int | None, *given: Any) -> list[str]:
        """Return the lines of a table, without the spaces at their ends."""
        self.widen(width)
        print_table(*given)
        return self.lines()

    def lines(self) -> list[str]:
        """Return the lines that were printed, without the spaces at their ends."""
        return [line.rstrip() for line in self.capsys.readouterr().out.splitlines()]
