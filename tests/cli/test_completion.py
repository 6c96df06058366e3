"""Completion of commands and task names."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from tests.helpers.terminal import process


@pytest.mark.process  # click asks bash for its version
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell gets a script that calls taskbank."""
    assert run(["completion", shell]) == 0
    assert "_TASKBANK_COMPLETE" in capsys.readouterr().out


@pytest.mark.process
def test_task_names_are_completed(mood: Bank) -> None:
    """A shell that asks gets the names of tasks in the bank."""
    mood.close()
    found = process(
        TASKBANK_BANK=mood.url,
        _TASKBANK_COMPLETE="bash_complete",
        COMP_WORDS="taskbank show m",
        COMP_CWORD="2",
    )
    assert "plain,mood" in found.stdout
