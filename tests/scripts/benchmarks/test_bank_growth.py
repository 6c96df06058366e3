"""Tests of scripts/benchmarks/bank_growth.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.benchmarks import bank_growth
from scripts.benchmarks.catalog_scale import OPERATIONS, Timing
from scripts.benchmarks.comparison import Run

SIZES = (10, 1000)


def run(command: str, tasks: int, number: int) -> Run:
    """Return the cost of a command in a round."""
    return {
        "command": command,
        "tasks": tasks,
        "kilobytes": 400,
        "memory": 600 + number,
        "seconds": 5.0,
        "processor": 4.0 if command == "predict" else 4.0 + 0.05 * tasks,
    }


RUNS = bank_growth.by_command(
    {
        f"{command}-{tasks}": [run(command, tasks, number) for number in range(3)]
        for tasks in reversed(SIZES)
        for command in bank_growth.COMMANDS
    }
)
CATALOG = [
    Timing(operation, system, adapters, [1.0, 2.0])
    for operation in OPERATIONS
    for system, adapters in (("sqlite", 100), ("sqlite", 10_000), ("mlflow", 10_000))
]


def test_time_per_task_excludes_the_start() -> None:
    """The time of one prediction is subtracted before the rest is divided by the tasks."""
    for tasks in SIZES:
        assert bank_growth.time_per_task(RUNS, "verify-all", tasks) == pytest.approx([50, 50, 50])


def test_the_table_has_a_column_per_bank() -> None:
    """The smallest bank comes first, and every cell has a median and a range."""
    lines = bank_growth.table(RUNS).splitlines()
    assert lines[0].split("|")[2:4] == [" 10 tasks      ", " 1,000 tasks   "]
    assert "| `verify-all`: peak, MiB" in lines[2]
    assert lines[2].count("601 (600–602)") == 2
    assert len({len(line) for line in lines}) == 1


def test_equal_arguments_give_equal_examples() -> None:
    """Two calls return the same examples, and no two tasks share theirs."""
    examples = bank_growth.make_examples(3, 4)
    assert examples == bank_growth.make_examples(3, 4)
    assert len({tuple(task["text"]) for task in examples}) == 3
    assert examples[0]["label"] == ["no", "yes", "no", "yes"]


@pytest.mark.slow
@pytest.mark.parametrize("catalog", [[], CATALOG], ids=["commands", "commands and catalog"])
def test_a_figure_has_the_same_bytes_each_time(tmp_path: Path, catalog: list[Timing]) -> None:
    """Two figures of the same data are the same PNG and the same SVG."""
    pytest.importorskip("matplotlib")
    files = []
    for name in ("one", "two"):
        bank_growth.draw(tmp_path / name, RUNS, catalog, "this machine")
        files.append([(tmp_path / f"{name}.{end}").read_bytes() for end in ("png", "svg")])
    assert files[0] == files[1]
