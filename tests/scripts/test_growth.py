"""How a bank's growth is measured and drawn: what a process costs, the table, the picture."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import growth
import pytest
from catalog_scale import OPERATIONS, Timing, read
from processes import cost
from side_by_side import Found, markdown

SIZES = (10, 1000)


def found(command: str, tasks: int, number: int) -> Found:
    """Return what a command cost in a round."""
    return {
        "command": command,
        "tasks": tasks,
        "kilobytes": 400,
        "memory": 600 + number,
        "seconds": 5.0,
        "processor": 4.0 if command == "predict" else 4.0 + 0.05 * tasks,
    }


RUNS = growth.by_command(
    {
        f"{command}-{tasks}": [found(command, tasks, number) for number in range(3)]
        for tasks in reversed(SIZES)
        for command in growth.COMMANDS
    }
)
CATALOG = [
    Timing(operation, system, adapters, [1.0, 2.0])
    for operation in OPERATIONS
    for system, adapters in (("sqlite", 100), ("sqlite", 10_000), ("mlflow", 10_000))
]


def test_a_process_is_charged_with_its_own_memory() -> None:
    """What the process that starts it has taken does not count, and what it takes itself does."""
    large = bytearray(300 << 20)
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    small = cost([sys.executable, "-c", ""])
    assert small["memory"] < 100 < len(large) >> 20 < mine
    taken = cost([sys.executable, "-c", "bytearray(200 << 20)"])
    assert 200 < taken["memory"] < 300
    assert taken["seconds"] > 0 < taken["processor"]


def test_a_command_that_fails_is_no_measurement() -> None:
    """It ends the script with what the command said."""
    with pytest.raises(SystemExit, match="because of this"):
        cost([sys.executable, "-c", "raise ValueError('because of this')"])


def test_time_a_task_is_beyond_the_start() -> None:
    """What one prediction takes is taken off before the rest is shared out."""
    for tasks in SIZES:
        assert growth.beyond_the_start(RUNS, "verify-all", tasks) == pytest.approx([50, 50, 50])


def test_the_table_has_a_column_a_bank() -> None:
    """The smallest first, each with median and range."""
    lines = growth.table(RUNS).splitlines()
    assert lines[0].split("|")[2:4] == [" 10 tasks      ", " 1,000 tasks   "]
    assert "| `verify-all`: peak, MiB" in lines[2]
    assert lines[2].count("601 (600–602)") == 2
    assert len({len(line) for line in lines}) == 1


def test_texts_are_the_same_each_time() -> None:
    """So the banks of two runs can be compared; no two tasks have the same."""
    texts = growth.made_texts(3, 4)
    assert texts == growth.made_texts(3, 4)
    assert len({tuple(one["text"]) for one in texts}) == 3
    assert texts[0]["label"] == ["no", "yes", "no", "yes"]


@pytest.mark.parametrize("catalog", [[], CATALOG], ids=["alone", "with the catalog"])
def test_a_picture_of_growth_has_the_same_bytes_each_time(
    tmp_path: Path, catalog: list[Timing]
) -> None:
    """It is a PNG and an SVG without a date or chance in it."""
    pytest.importorskip("matplotlib")
    pictures = []
    for name in ("one", "two"):
        growth.draw(tmp_path / name, RUNS, catalog, "this machine")
        pictures.append([(tmp_path / f"{name}.{end}").read_bytes() for end in ("png", "svg")])
    assert pictures[0] == pictures[1]


def test_timings_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Each operation has the times of all its repetitions."""
    file = tmp_path / "scale.csv"
    file.write_text(
        "operation,system,adapters,milliseconds\nlist,sqlite,100,1.5\nlist,sqlite,100,2.5\n"
    )
    assert read(file) == [Timing("list", "sqlite", 100, [1.5, 2.5])]


def test_a_markdown_table_is_aligned() -> None:
    """Every line is as long as the others, and the second rules off the heads."""
    assert markdown([["a", "long"], ["word", "b"]]).splitlines() == [
        "| a    | long |",
        "| ---- | ---- |",
        "| word | b    |",
    ]
