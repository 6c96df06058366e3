"""`taskbank add-task`."""

from __future__ import annotations

from pathlib import Path

import pytest

import taskbank
from taskbank.cli.main import run
from tests.helpers.rows import pairs, write_jsonl
from tests.helpers.terminal import Terminal


@pytest.mark.slow
def test_a_version_that_is_worse_does_not_get_the_alias(
    tmp_path: Path, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is recorded, the alias stays, and the command exits with 1; a good one gets it."""
    url = f"sqlite:///{tmp_path}/bank.db"
    command = ["--bank", url, "add-task", "mood", "--train", str(data / "train.jsonl")]
    command += ["--test", str(data / "validation.jsonl"), "--alias", "production"]
    good = ["--epochs", "8", "--learning-rate", "0.02", "--size", "8"]
    assert run([*command, *good, "--backbone", str(folder)]) == 0
    bad = ["--epochs", "1", "--learning-rate", "1e-7", "--new-version", "--must-not-regress"]
    assert run([*command, *bad]) == 1
    assert "mood@2 is worse than mood@1" in capsys.readouterr().err
    same = [*good, "--new-version", "--must-not-regress", "--seed", "1"]
    assert run([*command, *same]) == 0
    with taskbank.open(url) as bank:
        assert bank["mood@production"].version == 3
        assert bank["mood@2"].version == 2
    assert run([*command, *good, "--must-not-regress"]) == 2
    assert "--new-version" in capsys.readouterr().err
    assert run([*command, "--new-version", "--alias", "7"]) == 2


def test_what_auto_tried_is_said(terminal: Terminal, tmp_path: Path) -> None:
    """By the command, as text and as JSON, by show, and by trials; also where nothing helps."""
    rows = write_jsonl(tmp_path / "rows.jsonl", pairs(200, seed=11))
    command = ["add-task", "child", "--kind", "pair", "--train", rows, "--from", "auto"]
    command += ["--epochs", "2", "--learning-rate", "0.003", "--verify", "none"]
    said = terminal(*command, "--size", "8")
    tried = "mood@1, of 1 compared version"
    lines = [line.split(maxsplit=2) for line in said.splitlines()]
    assert ["starts", "tried", tried] in lines
    assert ["started", "from", "mood@1"] in lines
    assert tried in terminal("show", "child")
    assert "mood@1" in terminal("trials", "child")
    printed = terminal.json(*command, "--size", "8", "--new-version")
    assert printed["suggested"]["versions"][0]["ref"] == "mood@1"
    assert printed["course"]["suggested"] == printed["suggested"]
    other = "no version to compare has this method and its options"
    assert other in terminal(*command, "--size", "2", "--new-version")
    assert other in terminal("show", "child@3")
