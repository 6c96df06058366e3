"""`taskbank pages`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from tests.helpers.adapters import new_adapter


def test_the_command_writes_the_pages(
    own: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it wrote, as text and as JSON, and refuses a folder of others."""
    own.put(new_adapter("mood"))
    command = ["--bank", own.url, "pages", "--output", str(tmp_path / "pages")]
    assert run(command) == 0
    assert "wrote 5 pages" in capsys.readouterr().out
    assert run([*command, "--json", "--filter", 'task = "mood"']) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["pages"], made["folder"], made["moved"]) == (3, str(tmp_path / "pages"), None)
    (tmp_path / "pages" / "mine").write_text("")
    assert run(command) == 2
    assert "mine" in capsys.readouterr().err
    assert run([*command, "--replace"]) == 0
    assert "pages.old" in capsys.readouterr().out
