"""Runs the sides of a comparison in alternation and summarises them: median, range, ratio.

A ratio is taken within a round, between two runs made one right after the other, so a temporary
slowdown of the machine affects both alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from scripts.shared.tables import write_csv

Run = dict[str, Any]  # the figures of one run, by name
Side = Callable[[], Run]


def run_rounds(sides: Mapping[str, Side], rounds: int, title: str = "") -> dict[str, list[Run]]:
    """Run every side once per round; each round starts with the next side.

    Args:
        sides: what to run, by name.
        rounds: number of rounds.
        title: what is compared, for the progress bar.

    Returns:
        the runs of each side, by round.
    """
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    names = list(sides)
    # disable=None: no bar where the error stream is not a terminal.
    with tqdm(total=rounds * len(names), leave=False, disable=None) as bar:
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                bar.set_description(f"{title}, {name}")
                runs[name].append(sides[name]())
                bar.update()
    return runs


def values(runs: Sequence[Run], key: str) -> list[float]:
    """Return one figure of every run."""
    return [float(run[key]) for run in runs]


def ratios(slower: Sequence[Run], faster: Sequence[Run], key: str = "seconds") -> list[float]:
    """Return the ratio of a figure of two sides, by round."""
    return [a / b for a, b in zip(values(slower, key), values(faster, key), strict=True)]


def median_and_range(numbers: Sequence[float], digits: int = 2) -> str:
    """Return the median and range of some numbers, as `2.00 (1.90–2.10)`."""
    low, high = min(numbers), max(numbers)
    return f"{median(numbers):,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def write_runs(folder: Path, name: str, runs: Mapping[str, Sequence[Run]]) -> None:
    """Write the figures of every run as NAME.json, by side, and NAME.csv, one row per run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    write_csv(
        folder / f"{name}.csv",
        [
            {"side": side, "round": number, **run}
            for side, own in runs.items()
            for number, run in enumerate(own, start=1)
        ],
    )
