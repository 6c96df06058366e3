"""Compares ways of training on the tasks of a suite: paired, over seeds, with intervals.

    python scripts/paper/quality.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]
        [--arms FILE] [--seeds 5] [--only ARM ...] [--rows N] [--layers top:3]
        [--precision bfloat16] [--on ray] [--plan] [--test]

An arm is a way of training: keys of a suite that override those of every task, as in
scripts/paper/arms.toml. Every arm trains every task from the same seeds on the same rows, and is
compared with the first arm: the mean difference of the score on validation over tasks and seeds,
its interval, a p-value corrected for the number of arms, and the tasks that became worse.

Choices are made on validation. `--test` adds the table of the test split and writes its date to
FOLDER/test-looks.txt: choose first, then look, once.

Every training is a trial in FOLDER/bank.db and is done once: an interrupted run continues where it
stopped. `--plan` only says what is left, and for how long. `--rows`, `--layers` and `--precision`
make a screening cheaper than the tasks' own settings, which confirm what it found.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from scripts.paper.experiment import Experiment
from scripts.paper.paired_differences import (
    compare,
    mean_and_spread,
    spread,
    task_differences,
)
from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown, write_csv
from taskbank import plugins
from taskbank.backbone.load import load_backbone
from taskbank.bank.open import create_bank
from taskbank.bank.records import TrialRecord
from taskbank.errors import InputError
from taskbank.kinds.metrics import orient
from taskbank.methods.method import Method
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.runtime.device import pick_device
from taskbank.training.plan import TaskPlan
from taskbank.workers.executor import executor_for

ARMS = Path(__file__).with_name("arms.toml")


@dataclass(frozen=True)
class Cell:
    """One training: an arm on a task from a seed.

    Attributes:
        arm: the arm's name.
        task: the task's name.
        seed: the seed.
        trial: the trial; None if it diverged or has not been run.
    """

    arm: str
    task: str
    seed: int
    trial: TrialRecord | None

    def score(self, split: str) -> float:
        """Return the score on a split in points, higher being better; NaN if there is none."""
        if self.trial is None:
            return float("nan")
        value = self.trial.value(split)
        return float("nan") if value is None else 100 * orient(self.trial.metric, value)


def main() -> None:
    """Run the cells that are missing, and write the tables."""
    arguments = _arguments()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    arms = read_arms(arguments.arms)
    unknown = sorted(set(arguments.only or ()) - arms.keys())
    if unknown:
        raise SystemExit(f"{arguments.arms} has no arm {unknown[0]!r}: it has {', '.join(arms)}")
    entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
    backbone = load_backbone(arguments.backbone, pick_device(arguments.device))
    wanted = [name for name in arms if not arguments.only or name in arguments.only]
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        common = {"precision": arguments.precision} if arguments.precision else {}
        cut = [_with_rows(entry, arguments.rows) for entry in entries]
        with executor_for(arguments.on, bank, device=arguments.device, backbone=backbone) as place:
            experiment = Experiment(
                bank,
                backbone,
                cut,
                arguments.seeds,
                common,
                output,
                defaults={},
                workers=None if place.in_process else place,
            )
            # A seed of all tasks and arms before the next, so that the tables fill evenly.
            planned = [
                (arm, entry, seed, _plan(experiment, entry, arms[arm], arguments.layers, seed))
                for seed, entry, arm in product(range(arguments.seeds), cut, wanted)
            ]

            def known() -> list[Cell]:
                return [
                    Cell(arm, entry.name, seed, experiment.finished(plan))
                    for arm, entry, seed, plan in planned
                ]

            if not arguments.plan:
                for _ in experiment.run_all([plan for *_, plan in planned]):
                    write_tables(output, known(), ["validation"])
            cells = known()
    if arguments.plan:
        print(remaining(cells))
        return
    splits = ["validation", "test"] if arguments.test else ["validation"]
    if arguments.test:
        with (output / "test-looks.txt").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M} {', '.join(wanted)}\n")
    write_tables(output, cells, splits)
    print((output / "quality.md").read_text(encoding="utf-8"))


def read_arms(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the keys that each arm overrides, by name, in the order of the file.

    Raises:
        InputError: if the file cannot be read, or an arm has no name or the name of another.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    arms: dict[str, Mapping[str, Any]] = {}
    for number, values in enumerate(found.get("arm", ()), start=1):
        name = values.get("name")
        if not isinstance(name, str) or name in arms:
            raise InputError(f"arm {number} of {path} needs a name of its own: it has {name!r}")
        arms[name] = {key: value for key, value in values.items() if key != "name"}
    if not arms:
        raise InputError(f"{path} has no [[arm]]")
    return arms


def _with_rows(entry: Entry, rows: int | None) -> Entry:
    """Return a task with at most so many training rows."""
    if rows is None:
        return entry
    return replace(
        entry, values={**entry.values, "rows": min(rows, entry.values.get("rows", rows))}
    )


def _with_layers(keys: Mapping[str, Any], layers: str | None) -> dict[str, Any]:
    """Return an arm's keys with layers, unless it has its own or its method has none."""
    method: Method = plugins.load("methods", keys.get("method", "houlsby"))
    return ({"layers": layers} if layers and "layers" in method.options else {}) | dict(keys)


def _plan(
    experiment: Experiment, entry: Entry, arm: Mapping[str, Any], layers: str | None, seed: int
) -> TaskPlan:
    fixed = _with_layers(arm, layers) | {"seed": seed}
    others = {key: value for key, value in fixed.items() if key != "method"}
    return experiment.plan(entry, fixed.get("method", "houlsby"), **others)


def remaining(cells: Sequence[Cell]) -> str:
    """Return how many cells are left, and how long they take if they are as long as finished ones.

    The time of a cell is estimated from other seeds of the same arm and task, or from other arms.
    """
    known: dict[tuple[str | None, str | None], list[float]] = defaultdict(list)
    for cell in cells:
        if cell.trial is not None:
            for key in ((cell.arm, cell.task), (None, cell.task), (None, None)):
                known[key].append(cell.trial.course["seconds"])
    left = [cell for cell in cells if cell.trial is None]
    seconds = 0.0
    for cell in left:
        keys = ((cell.arm, cell.task), (None, cell.task), (None, None))
        seconds += next((mean(known[key]) for key in keys if known[key]), 0.0)
    finished = len(left) < len(cells)
    hours = f"about {seconds / 3600:.1f} h" if finished else "of unknown duration"
    return f"{len(left)} of {len(cells)} trainings are left, {hours}"


def write_tables(output: Path, cells: Sequence[Cell], splits: Sequence[str]) -> None:
    """Write FOLDER/cells.csv and FOLDER/quality.md."""
    rows = [
        {"arm": cell.arm, "task": cell.task, "seed": cell.seed}
        | ({} if cell.trial is None else _figures(cell.trial, splits))
        for cell in cells
    ]
    write_csv(output / "cells.csv", rows)
    parts = [part for split in splits for part in _tables(cells, split)]
    (output / "quality.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _figures(trial: TrialRecord, splits: Sequence[str]) -> dict[str, Any]:
    measured = {
        f"{one.split} {one.name}": one.value for one in trial.metrics if one.split in splits
    }
    return {
        "status": trial.status,
        "seconds": trial.course["seconds"],
        "parameters": trial.parameters,
        **measured,
    }


def _tables(cells: Sequence[Cell], split: str) -> Iterator[str]:
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    seeds = sorted({cell.seed for cell in cells})
    scores = {arm: np.full((len(tasks), len(seeds)), np.nan) for arm in arms}
    times = {arm: np.full((len(tasks), len(seeds)), np.nan) for arm in arms}
    for cell in cells:
        place = tasks.index(cell.task), seeds.index(cell.seed)
        scores[cell.arm][place] = cell.score(split)
        if cell.trial is not None:
            times[cell.arm][place] = cell.trial.course["seconds"]
    shown = [i for i in range(len(tasks)) if all(_has(scores[arm][i]) for arm in arms)]
    if not shown:
        return
    yield f"## {split}"
    lines = [["task", *arms]]
    for i in shown:
        lines.append([tasks[i], *(mean_and_spread(scores[arm][i]) for arm in arms)])
    means = [f"**{np.mean([np.nanmean(scores[arm][i]) for i in shown]):.2f}**" for arm in arms]
    spreads = [f"{np.mean([spread(scores[arm][i]) for i in shown]):.2f}" for arm in arms]
    yield markdown([*lines, ["**mean**", *means], ["deviation over seeds", *spreads]])
    yield markdown(_differences(cells, arms, [tasks[i] for i in shown], scores, times, shown))


def _differences(
    cells: Sequence[Cell],
    arms: Sequence[str],
    tasks: Sequence[str],
    scores: Mapping[str, np.ndarray],
    times: Mapping[str, np.ndarray],
    shown: Sequence[int],
) -> list[list[str]]:
    """Return the table of each arm's differences from the first."""
    first, *others = arms
    paired = {arm: (scores[arm] - scores[first])[shown] for arm in others}
    lines = [["arm", "difference", "95 %", "p", "time", "collapsed", "worse at p < 0.05"]]
    for arm, found in compare(paired).items():
        p_values, own = task_differences(paired[arm]), np.nanmean(paired[arm], axis=1)
        worse = [
            task for task, p, d in zip(tasks, p_values, own, strict=True) if p < 0.05 and d < 0
        ]
        ratio = np.nanmedian((times[arm] / times[first])[shown])
        lines.append(
            [
                arm,
                f"{found.mean:+.2f}",
                f"{found.low:+.2f} to {found.high:+.2f}",
                f"{found.p_value:.3f}",
                f"{ratio:.2f}",
                str(sum(_collapsed(cell) for cell in cells if cell.arm == arm)),
                ", ".join(worse) or "none",
            ]
        )
    return lines


def _collapsed(cell: Cell) -> bool:
    """Return whether a training collapsed; one that was repeated has another seed."""
    if cell.trial is None:
        return False
    return cell.trial.status == "collapsed" or cell.trial.training["seed"] != cell.seed


def _has(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _arguments() -> argparse.Namespace:
    parser = suite_parser(__doc__)
    parser.add_argument("--arms", type=Path, default=ARMS, help="file of arms (TOML)")
    parser.add_argument("--only", nargs="+", metavar="ARM", help="only these arms")
    parser.add_argument("--seeds", type=int, default=5, help="seeds per arm and task")
    parser.add_argument("--rows", type=int, help="most training rows per task")
    parser.add_argument("--layers", help="layers to adapt, to screen: top:3")
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--device")
    parser.add_argument("--on", metavar="PLACE", help="where to train: ray, or ray://HOST:PORT")
    parser.add_argument("--plan", action="store_true", help="only say what is left to train")
    parser.add_argument("--test", action="store_true", help="show the test split, once, at the end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
