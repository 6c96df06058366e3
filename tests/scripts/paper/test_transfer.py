"""Tests of scripts/paper/transfer.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scripts.paper import transfer
from scripts.paper.transfer import Cell, best_of, table
from taskbank.bank.open import open_bank
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl


@pytest.mark.slow
def test_every_target_starts_from_every_version_of_another_task_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source of eight classes is also stored as four tasks of two; a target does not start from
    a version of its own name; a second run trains nothing and prints the same; with `--whole`, a
    new target does not start from parts of a data set."""
    backbone = make_backbone(tmp_path / "tiny")
    moods = sentences(64, seed=1)
    write_jsonl(tmp_path / "mood.jsonl", moods)
    topics = [{**row, "label": f"topic-{n % 8}"} for n, row in enumerate(moods)]
    write_jsonl(tmp_path / "topic.jsonl", topics)
    write_jsonl(tmp_path / "test.jsonl", sentences(20, seed=2))

    sources = _suite(tmp_path / "sources.toml", {"topic": "topic", "mood": "mood"})
    targets = _suite(tmp_path / "targets.toml", {"mood": "mood", "feeling": "mood"}, tested=True)
    options = ["--rows", "40", "--epochs", "1", "--layers", "all", "--classes", "2"]
    command = ["transfer.py", str(sources), str(targets), "--backbone", str(backbone)]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "out"), *options])
    transfer.main()
    printed = capsys.readouterr().out
    parts = [f"topic-{number:02}" for number in range(1, 5)]
    with open_bank(f"sqlite:///{tmp_path / 'out' / 'bank.db'}") as bank:
        assert {record.task for record in bank} == {"topic", "mood", *parts}
    cells = [json.loads(line) for line in (tmp_path / "out" / "cells.jsonl").open()]
    refs = ["", *(f"{name}@1" for name in ("topic", *parts))]
    started = {
        task: [c["start"] for c in cells if c["task"] == task] for task in ("mood", "feeling")
    }
    assert sorted(started["mood"]) == sorted(refs)
    assert sorted(started["feeling"]) == sorted([*refs, "mood@1"])
    assert all(sum(c["stored"] for c in cells if c["task"] == task) == 1 for task in started)
    transfer.main()
    assert capsys.readouterr().out == printed[printed.index("| target") :]
    _suite(targets, {"mood": "mood", "feeling": "mood", "third": "mood"}, tested=True)
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--whole"])
    transfer.main()
    cells = [json.loads(line) for line in (tmp_path / "out" / "cells.jsonl").open()]
    third = {c["start"] for c in cells if c["task"] == "third" and not c["suggested"]}
    assert third <= {"", "topic@1", "mood@1"}
    assert "" in third


def test_the_best_is_chosen_on_one_half_and_scored_on_the_other() -> None:
    """A training that is best on one half only does not count with that half."""
    lucky = _cell("lucky@1", (100.0, 50.0))
    steady = _cell("steady@1", (80.0, 80.0))
    assert best_of([lucky, steady]) == 65.0  # (50 + 80) / 2
    assert best_of([steady]) == 80.0


def test_regret_is_what_the_best_of_all_scores_more_than_the_best_suggested() -> None:
    """Of one target, with a start that was not suggested and is 5 points better on both halves."""
    cells = [
        _cell("", (70.0, 70.0)),
        _cell("good@1", (75.0, 75.0), suggested=True, stored=True),
        _cell("best@1", (80.0, 80.0)),
    ]
    line = table(cells).splitlines()[2]
    shown = [cell.strip() for cell in line.strip("|").split("|")]
    assert shown == ["new", "70.0", "75.0", "5.0", "10.0", "good@1"]


def _suite(path: Path, files: dict[str, str], *, tested: bool = False) -> Path:
    test = 'test = "test.jsonl"\n' if tested else ""
    tasks = [
        f'[[task]]\nname = "{name}"\ntrain = "{file}.jsonl"\n{test}' for name, file in files.items()
    ]
    path.write_text("".join(tasks))
    return path


def _cell(
    start: str, halves: tuple[float, float], *, suggested: bool = False, stored: bool = False
) -> Cell:
    return Cell("new", 0, start, suggested, stored, 50.0, 0.5, sum(halves) / 2, halves, 1.0)
