"""Tests of scripts/paper/upkeep.py."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from scripts.paper import upkeep
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import numbered, sentences, write_jsonl


@pytest.mark.slow
def test_every_way_updates_every_part_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three ways update two tasks with the same parts; a second run trains nothing and prints the
    same."""
    backbone = make_backbone(tmp_path / "tiny")
    for name, rows in (("mood", sentences), ("count", numbered)):
        write_jsonl(tmp_path / f"{name}.jsonl", rows(100, seed=1))
        write_jsonl(tmp_path / f"{name}-test.jsonl", rows(30, seed=2))
    tasks = [
        f'[[task]]\nname = "{name}"\nkind = "{kind}"\ntrain = "{name}.jsonl"\n'
        f'test = "{name}-test.jsonl"\nepochs = 3\nrows = 9\n'
        for name, kind in (("mood", "single"), ("count", "regression"))
    ]
    (tmp_path / "two.toml").write_text("".join(tasks))
    options = ["--seeds", "1", "--parts", "2", "--rows", "100", "--layers", "all"]
    command = ["upkeep.py", str(tmp_path / "two.toml"), "--backbone", str(backbone)]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "out"), *options])
    upkeep.main()
    printed = capsys.readouterr().out
    with (tmp_path / "out" / "updates.csv").open() as file:
        rows_of = list(csv.DictReader(file))
    ways = ["retrain", "continue", "continue, anchor 1"]
    assert [(row["task"], row["way"], row["parts"]) for row in rows_of] == [
        (task, way, "2") for task in ("mood", "count") for way in ways
    ]
    assert "| continue, anchor 1 " in printed

    def refuse(*_given: object, **_more: object) -> None:
        pytest.fail("this was trained before")

    monkeypatch.setattr(upkeep, "update", refuse)
    monkeypatch.setattr(upkeep, "add_task", refuse)
    upkeep.main()
    assert capsys.readouterr().out == printed
