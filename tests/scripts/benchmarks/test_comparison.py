"""Tests of scripts/benchmarks/comparison.py."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

from scripts.benchmarks.comparison import (
    Run,
    median_and_range,
    ratios,
    run_rounds,
    values,
    write_runs,
)


def test_sides_run_in_alternation() -> None:
    """Every round runs every side once, and starts with the next side."""
    ran: list[str] = []

    def side(name: str) -> Run:
        ran.append(name)
        return {"seconds": len(ran)}

    names = ["a", "b", "c"]
    runs = run_rounds({name: partial(side, name) for name in names}, 3)
    assert ran == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert values(runs["a"], "seconds") == [1, 6, 8]


def test_figures_are_shown_with_median_and_range() -> None:
    """The text has the median, then the lowest and the highest number."""
    assert median_and_range([3, 1, 2]) == "2.00 (1.00–3.00)"
    assert median_and_range([1234.5], 0) == "1,234 (1,234–1,234)"


def test_a_ratio_is_taken_within_a_round() -> None:
    """A slowdown of a whole round does not change the ratio."""
    theirs: list[Run] = [{"seconds": 2.0}, {"seconds": 20.0}]
    ours: list[Run] = [{"seconds": 1.0}, {"seconds": 10.0}]
    assert ratios(theirs, ours) == [2.0, 2.0]


def test_the_figures_of_every_run_are_written(tmp_path: Path) -> None:
    """The JSON file has the runs by side, and the CSV file one row per run."""
    runs: dict[str, list[Run]] = {"a": [{"seconds": 1.5}, {"seconds": 2.5}], "b": [{"rows": 3}]}
    write_runs(tmp_path, "it", runs)
    assert json.loads((tmp_path / "it.json").read_text()) == runs
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["side"], r["round"], r["seconds"], r["rows"]) for r in rows] == [
        ("a", "1", "1.5", ""),
        ("a", "2", "2.5", ""),
        ("b", "1", "", "3"),
    ]
