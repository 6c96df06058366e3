"""Tests of scripts/paper/hyperparameters.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.paper import hyperparameters
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl


@pytest.mark.slow
def test_settings_are_scored_on_rows_outside_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has every setting and marks the best; all sizes share the scored rows."""
    backbone = make_backbone(tmp_path / "tiny")
    write_jsonl(tmp_path / "moods.jsonl", sentences(60, seed=1))
    (tmp_path / "one.toml").write_text('[[task]]\nname = "moods"\ntrain = "moods.jsonl"\n')
    monkeypatch.setattr(hyperparameters, "EPOCHS", (1, 2))
    monkeypatch.setattr(hyperparameters, "SCORED", 20)
    output = tmp_path / "output"
    command = ["hyperparameters.py", str(tmp_path / "one.toml"), "--rows", "10", "20"]
    command += ["--methods", "layernorm", "--backbone", str(backbone), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    hyperparameters.main()
    table = (output / "defaults.md").read_text()
    assert table.count("| layernorm |") == 2 * 3 * 2
    assert table.count("**") >= 2 * 2
    parts = {
        (rows, name): (output / "data" / f"moods.{rows}.{name}.jsonl").read_text().splitlines()
        for rows in (10, 20)
        for name in ("train", "validation")
    }
    assert parts[10, "validation"] == parts[20, "validation"]
    assert [len(parts[rows, "train"]) for rows in (10, 20)] == [10, 20]
    assert not set(parts[20, "train"]) & set(parts[20, "validation"])
