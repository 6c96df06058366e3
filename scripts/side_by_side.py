"""Runs sides in turn, several times, and says what came of it: median, spread, ratio, table.

A ratio is taken within each round, of two runs that came right after each other: what slows the
machine down for a while slows both.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

Found = dict[str, Any]
Side = Callable[[], Found]


def in_turn(sides: Mapping[str, Side], repeats: int, about: str = "") -> dict[str, list[Found]]:
    """Run every side once a round, each round starting with another one.

    Args:
        sides: what is run, by name.
        repeats: number of rounds.
        about: what is compared, for the bar.

    Returns:
        what each side found, round by round.
    """
    found: dict[str, list[Found]] = {name: [] for name in sides}
    names = list(sides)
    # disable=None: no bar where the error stream is not a terminal.
    with tqdm(total=repeats * len(names), leave=False, disable=None) as bar:
        for number in range(repeats):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                bar.set_description(f"{about}, {name}")
                found[name].append(sides[name]())
                bar.update()
    return found


def values(runs: Sequence[Found], key: str) -> list[float]:
    """Return one number of every run."""
    return [float(run[key]) for run in runs]


def ratios(slower: Sequence[Found], faster: Sequence[Found], key: str = "seconds") -> list[float]:
    """Return how many times as much one side took as another, round by round."""
    return [a / b for a, b in zip(values(slower, key), values(faster, key), strict=True)]


def shown(numbers: Sequence[float], digits: int = 2) -> str:
    """Return median and range of some numbers, as `2.00 (1.90–2.10)`."""
    low, high = min(numbers), max(numbers)
    return f"{median(numbers):,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return an aligned table; the first row has all columns, the first of which is words.

    Args:
        rows: cells by column; what a row does not have is left empty.
    """
    names = list(rows[0])
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    aligned = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    aligned.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(aligned)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return an aligned Markdown table.

    Args:
        lines: of cells, the heads first.
    """
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in ruled
    )


def write(folder: Path, name: str, found: Mapping[str, Sequence[Found]]) -> None:
    """Write every run's numbers, as JSON and as a CSV file with a row a run."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    rows = [
        {"side": side, "round": number, **run}
        for side, runs in found.items()
        for number, run in enumerate(runs, start=1)
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
