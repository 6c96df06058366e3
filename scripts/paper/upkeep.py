"""Compares ways of updating a task whose rows come in parts: score, time and negative flips.

    python scripts/paper/upkeep.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]
        [--seeds 3] [--parts 4] [--rows 600] [--layers top:2] [--anchor 1]

The training rows of every task are drawn from a seed and divided into parts. A version is trained
on the first part, and each way then updates it with the others, one after the other: `retrain`,
`continue`, and `continue` with an anchor. Score and negative flips are those on the test rows of
the parent, which are the same for every way. Each way is compared with `retrain`: the mean
difference over tasks and seeds, where that of a seed is the mean over the updates.

Every version is stored in FOLDER/bank.db and trained once: an interrupted run continues where it
stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from scripts.paper.paired_differences import compare
from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown, write_csv
from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.sources import read_examples
from taskbank.kinds.kind import Kind
from taskbank.kinds.metrics import orient
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.pipeline.update import NewData, update
from taskbank.pipeline.update_modes import Mode
from taskbank.promotion.diff import diff
from taskbank.specs import TaskSpec


@dataclass(frozen=True)
class Way:
    """A way of updating.

    Attributes:
        mode: the mode.
        anchor: the weight of the anchor; None without one.
    """

    mode: Mode
    anchor: float | None = None

    @property
    def name(self) -> str:
        """The way's name in tables."""
        return f"{self.mode}, anchor {self.anchor:g}" if self.anchor else self.mode


def main() -> None:
    """Train the versions that are missing, and write the tables."""
    arguments = _arguments()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
    ways = [Way("retrain"), Way("continue"), Way("continue", arguments.anchor)]
    rows: list[dict[str, Any]] = []
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        # A seed of all tasks before the next, so that the tables fill evenly.
        for seed, entry in product(range(arguments.seeds), entries):
            rows += run(bank, entry, seed, ways, arguments)
            write_csv(output / "updates.csv", rows)
            (output / "upkeep.md").write_text(tables(rows, ways) + "\n", encoding="utf-8")
            print(f"{entry.name} seed {seed}", flush=True)
    print(tables(rows, ways))


def run(
    bank: Bank, entry: Entry, seed: int, ways: Sequence[Way], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Train the versions of a task from a seed, and return a row for every update.

    Args:
        bank: an open bank.
        entry: the task.
        seed: the seed of the rows and of the trainings.
        ways: the ways of updating.
        arguments: the arguments of the script.
    """
    parts = _parts(entry, seed, arguments.rows, arguments.parts)
    name = f"{entry.name}-{seed}"
    if not bank.adapters(task=name):
        values = {key: value for key, value in entry.values.items() if key != "rows"}
        values |= {"name": name, "train": parts[0], "validation": None, "keep_rows": True}
        values |= {"seed": seed, "layers": arguments.layers}
        spec = TaskSpec.of(values)
        add_task(bank, spec, backbone=arguments.backbone, verify="none")
    rows = []
    for way in ways:
        parent = bank[f"{name}@1"]
        for number, part in enumerate(parts[1:], start=2):
            child = _updated(bank, parent, way) or _update(bank, parent, way, part)
            found = diff(bank, parent.ref, child.ref, split="old", backbone=arguments.backbone)
            score = child.value("old")
            assert score is not None  # noqa: S101 - an update scores the old rows
            rows.append(
                {
                    "task": entry.name,
                    "seed": seed,
                    "way": way.name,
                    "parts": number,
                    "version": child.ref,
                    "score": 100 * orient(child.metric, score),
                    "seconds": child.course["seconds"],
                    "negative_flips": 100 * found.negative_flips / found.examples,
                    "significant": found.worse(1.0),
                }
            )
            parent = child
    return rows


def tables(rows: Sequence[dict[str, Any]], ways: Sequence[Way]) -> str:
    """Return the tables of some updates as Markdown."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    names = [way.name for way in ways]
    scores, seconds, flips = (
        {name: _grid(rows, name, value) for name in names}
        for value in ("score", "seconds", "negative_flips")
    )
    by_task = [["task", *names]] + [
        [task, *(f"{np.nanmean(scores[name][place]):.1f}" for name in names)]
        for place, task in enumerate(tasks)
    ]
    first, *others = names
    found = compare({name: scores[name] - scores[first] for name in others})
    compared = [
        ["way", "difference", "95 %", "p", "time", "negative flips", "updates", "worse on old rows"]
    ]
    for name in names:
        one, own = found.get(name), [row for row in rows if row["way"] == name]
        compared.append(
            [
                name,
                "" if one is None else f"{one.mean:+.2f}",
                "" if one is None else f"{one.low:+.2f} to {one.high:+.2f}",
                "" if one is None else f"{one.p_value:.3f}",
                f"{np.nanmedian(seconds[name] / seconds[first]):.2f}",
                f"{np.nanmean(flips[name]):.2f} %",
                str(len(own)),
                str(sum(row["significant"] for row in own)),
            ]
        )
    return f"{markdown(by_task)}\n\n{markdown(compared)}"


def _grid(rows: Sequence[dict[str, Any]], way: str, value: str) -> np.ndarray:
    """Return the mean of a value over the updates of a way, of shape [tasks, seeds]."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    grid = np.full((len(tasks), len(seeds)), np.nan)
    for place, seed in product(range(len(tasks)), seeds):
        found = [
            row[value]
            for row in rows
            if (row["task"], row["seed"], row["way"]) == (tasks[place], seed, way)
        ]
        if found:
            grid[place, seeds.index(seed)] = np.mean(found)
    return grid


def _parts(entry: Entry, seed: int, rows: int, parts: int) -> list[list[dict[str, Any]]]:
    """Return training rows of a task, drawn from a seed, in parts of equal size."""
    kind: Kind = plugins.load("kinds", entry.values.get("kind", "single"))
    examples = read_examples(entry.values["train"], kind.inputs, kind.label)
    order = np.random.default_rng(seed).permutation(len(examples))[:rows]
    records = list(examples.select(order.tolist(), examples.origin).rows())
    size = len(records) // parts
    return [records[part * size : (part + 1) * size] for part in range(parts)]


def _updated(bank: Bank, parent: AdapterRecord, way: Way) -> AdapterRecord | None:
    """Return the version that a way already made of a parent; None if there is none."""
    for record in bank.adapters(task=parent.task):
        made = record.course.get("update", {})
        if (made.get("requested"), made.get("anchor")) == (way.mode, way.anchor) and (
            record.course["parents"][0]["ref"] == parent.ref
        ):
            return record
    return None


def _update(
    bank: Bank, parent: AdapterRecord, way: Way, part: list[dict[str, Any]]
) -> AdapterRecord:
    data = NewData(part)
    updated = update(bank, parent.ref, data, mode=way.mode, anchor=way.anchor, verify="none")
    assert updated.record is not None, f"{parent.ref}: a part has no new row"  # noqa: S101
    return updated.record


def _arguments() -> argparse.Namespace:
    parser = suite_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="seeds per task")
    parser.add_argument("--parts", type=int, default=4, help="parts of the training rows")
    parser.add_argument("--rows", type=int, default=600, help="training rows per task")
    parser.add_argument("--layers", default="top:2", help="layers to adapt")
    parser.add_argument("--anchor", type=float, default=1.0, help="weight of the anchor")
    return parser.parse_args()


if __name__ == "__main__":
    main()
