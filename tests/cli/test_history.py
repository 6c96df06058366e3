"""`taskbank history`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from tests.helpers.adapters import new_adapter, record_finding


@pytest.mark.slow
def test_the_command_shows_it(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables, JSON, pictures, and errors for what cannot be had."""
    base = ["--bank", bank.url, "history"]
    assert run(base) == 0
    assert "there are no events yet" in capsys.readouterr().out
    assert run([*base, "--matrix"]) == 0
    assert run([*base, "--plot", str(tmp_path / "none.png")]) == 2
    for seed in range(3):
        bank.put(new_adapter(f"task{seed}", seed=seed))
    record_finding(bank, "task1")
    capsys.readouterr()
    assert run(base) == 0
    assert "1 checked, 1 changed, problems found" in capsys.readouterr().out
    assert run([*base, "task1"]) == 0
    assert "a test wants it" in capsys.readouterr().out
    assert run([*base, "task1", "--json"]) == 0
    assert {one["what"] for one in json.loads(capsys.readouterr().out)} >= {"added", "accepted"}
    picture = tmp_path / "matrix.svg"
    assert run([*base, "--matrix", "--plot", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == ["task0", "task1", "task2"]
    assert picture.read_text().startswith("<?xml")
    assert run([*base, "--matrix"]) == 0
    out = capsys.readouterr().out
    assert "backward transfer" in out
    assert "0.0000" in out
    assert run([*base, "task1", "--plot", str(tmp_path / "task.png")]) == 0
    assert run([*base, "task1", "--matrix"]) == 2
    assert run([*base, "nothing"]) == 2
