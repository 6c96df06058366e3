"""Tests of scripts/paper/quality.py."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from scripts.paper import quality
from taskbank.errors import InputError
from taskbank.training import trainer
from tests.helpers.backbones import make_backbone
from tests.helpers.rows import sentences, write_jsonl

ARMS = """
[[arm]]
name = "default"
epochs = 1
[[arm]]
name = "probe"
method = "linear"
epochs = 2
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A command line for two tasks and two arms, on a tiny backbone."""
    backbone = make_backbone(tmp_path / "tiny")
    for name, count in (("train", 60), ("test", 20)):
        write_jsonl(tmp_path / f"{name}.jsonl", sentences(count, seed=count))
    tasks = [
        f'[[task]]\nname = "{name}"\ntrain = "train.jsonl"\ntest = "test.jsonl"\nrows = {rows}\n'
        for name, rows in (("few", 20), ("many", 40))
    ]
    (tmp_path / "two.toml").write_text("".join(tasks))
    (tmp_path / "arms.toml").write_text(ARMS)
    found = ["quality.py", str(tmp_path / "two.toml"), "--arms", str(tmp_path / "arms.toml")]
    return [*found, "--backbone", str(backbone), "--output", str(tmp_path / "out"), "--seeds", "2"]


@pytest.mark.slow
def test_arms_are_compared_on_the_same_rows_and_seeds_once(
    tmp_path: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every arm trains every task from every seed, a second run trains nothing, and only a run
    with --test shows the test split and says when it was looked at."""
    monkeypatch.setattr(sys, "argv", [*command, "--plan"])
    quality.main()
    assert "8 of 8 trainings are left, of unknown duration" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", command)
    quality.main()
    output = tmp_path / "out"
    table = (output / "quality.md").read_text()
    assert "## validation" in table
    assert "## test" not in table
    with (output / "cells.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert {(c["arm"], c["task"], c["seed"]) for c in cells} == {
        (arm, task, seed)
        for arm in ("default", "probe")
        for task in ("few", "many")
        for seed in ("0", "1")
    }
    assert not any(name.startswith("test ") for name in cells[0])

    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("a training that is known was run again")

    monkeypatch.setattr(trainer, "train", unexpected)
    monkeypatch.setattr(sys, "argv", [*command, "--test"])
    quality.main()
    assert "## test" in (output / "quality.md").read_text()
    assert (output / "test-looks.txt").read_text().strip().endswith("default, probe")
    monkeypatch.setattr(sys, "argv", [*command, "--plan"])
    quality.main()
    assert "0 of 8 trainings are left, about 0.0 h" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no \\[\\[arm\\]\\]"),
        ("[[arm]]\nepochs = 1", "arm 1 of .* needs a name"),
        ('[[arm]]\nname = "a"\n[[arm]]\nname = "a"', "arm 2 of .* needs a name"),
        ("[[arm", "cannot be read"),
    ],
)
def test_a_file_of_arms_that_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A file without arms, an arm without a name of its own, and what is no TOML are errors."""
    (tmp_path / "arms.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        quality.read_arms(tmp_path / "arms.toml")


def test_layers_are_for_methods_that_have_them() -> None:
    """--layers reaches arms whose method adapts layers, and not those that name their own."""
    assert quality._with_layers({}, "top:3") == {"layers": "top:3"}
    assert quality._with_layers({"layers": "top:1"}, "top:3") == {"layers": "top:1"}
    assert quality._with_layers({"method": "linear"}, "top:3") == {"method": "linear"}
