"""Measures what new tasks gain by starting from stored versions, and how good the suggestions are.

    python scripts/paper/transfer.py SOURCES TARGETS --backbone SPEC --output FOLDER
        [--data FOLDER] [--seeds 1] [--rows 500] [--source-rows 2000] [--epochs N] [--layers top:2]
        [--whole]

SOURCES and TARGETS are suites. Every task of SOURCES is stored in FOLDER/bank.db; one of many
classes also gives tasks of a few of its classes each, so that a few data sets make a bank of
dozens of tasks. Every task of TARGETS is then trained untrained and from each stored version of
another task, on the same rows and from the same seed.

The gain is that of `--from auto`: the score of the training that it stores, minus that of the
untrained start. Regret@3 (Poth et al. 2021, "What to Pre-Train on?") is the score of the best of
all starts minus that of the best of the three that `--from auto` tries; the untrained start is
among both. The best of many scores is high by luck as well, so each is chosen on one half of the
test rows and scored on the other half, both ways. With `--whole`, targets do not start from the
tasks of a few classes, unless `--from auto` tries them: that takes less time and may find less
regret.

What is in FOLDER is not trained again.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from scripts.paper.paired_differences import compare
from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown
from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.data.sources import read_examples
from taskbank.kinds.kind import Kind
from taskbank.kinds.metrics import orient
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.auto_start import find_starts
from taskbank.pipeline.suite import plan_entry
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.runtime.device import pick_device
from taskbank.specs import TaskSpec
from taskbank.training.checkpoint import Checkpoint
from taskbank.training.start import AUTO, Start, read_starts
from taskbank.training.trainer import Trainer
from taskbank.training.trial import Trial
from taskbank.training.tune import best_trial, fit_to_backbone

PART = "-"  # between the name of a data set and the number of a task of some of its classes
UNTRAINED = ""  # the start of a training that starts from no version


@dataclass(frozen=True)
class Cell:
    """One training of a target.

    Attributes:
        task: the target.
        seed: the seed of its rows and of the training.
        start: the version that it starts from; `UNTRAINED` for none.
        suggested: whether `--from auto` tries the version.
        stored: whether `--from auto` stores this training.
        validation: the score on the validation rows, in points, higher being better.
        loss: the loss on the validation rows.
        score: the score on the test rows, in points.
        halves: the same for every second test row, and for the others.
        seconds: duration of the training.
    """

    task: str
    seed: int
    start: str
    suggested: bool
    stored: bool
    validation: float
    loss: float
    score: float
    halves: tuple[float, float]
    seconds: float


def main() -> None:
    """Train what is missing, and write the table."""
    arguments = _arguments()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    base: Path | None = arguments.data
    sources = read_suite(arguments.suite, base or arguments.suite.parent)
    targets = read_suite(arguments.targets, base or arguments.targets.parent)
    backbone = load_backbone(arguments.backbone, pick_device(None))
    found = output / "cells.jsonl"
    cells = _read(found)
    known = {(cell.task, cell.seed) for cell in cells}
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        store_sources(bank, sources, arguments)
        # A seed of all targets before the next, so that the table fills evenly.
        for seed, entry in product(range(arguments.seeds), targets):
            if (entry.name, seed) in known:
                continue
            new = train_target(bank, backbone, entry, seed, arguments)
            with found.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(cell)) + "\n" for cell in new)
            cells += new
            print(f"{entry.name} seed {seed}: {len(new)} trainings", flush=True)
            (output / "transfer.md").write_text(table(cells) + "\n", encoding="utf-8")
    print(table(cells))


def store_sources(bank: Bank, entries: Sequence[Entry], arguments: argparse.Namespace) -> None:
    """Store every source that the bank does not have yet.

    Args:
        bank: an open bank.
        entries: the data sets.
        arguments: the arguments of the script.
    """
    for entry in entries:
        for name, values in _tasks_of(entry, arguments.classes):
            if bank.adapters(task=name):
                continue
            rows = {"rows": min(arguments.source_rows, values.get("rows", arguments.source_rows))}
            spec = TaskSpec.of({**values, **rows, **_setting(arguments), "name": name})
            add_task(bank, spec, backbone=arguments.backbone, verify="none")
            print(f"{name} stored", flush=True)


def _tasks_of(entry: Entry, classes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the values of a data set's task, and of tasks of some of its classes."""
    yield entry.name, dict(entry.values)
    kind: Kind = plugins.load("kinds", entry.values.get("kind", "single"))
    if kind.name != "single":
        return
    examples = read_examples(entry.values["train"], kind.inputs, kind.label)
    by_class: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in examples.rows():
        by_class[row[kind.label.name]].append(dict(row))
    labels = sorted(by_class)
    if len(labels) < 4 * classes:
        return
    for number, first in enumerate(range(0, len(labels) - classes + 1, classes), start=1):
        rows = [row for label in labels[first : first + classes] for row in by_class[label]]
        yield f"{entry.name}{PART}{number:02}", {"train": rows}


def _setting(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keys that sources and targets have in common."""
    epochs = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    return {"layers": arguments.layers} | epochs


def train_target(
    bank: Bank, backbone: Backbone, entry: Entry, seed: int, arguments: argparse.Namespace
) -> list[Cell]:
    """Train a target untrained and from every version of another task, and return the trainings.

    Args:
        bank: a bank with the sources.
        backbone: the encoder.
        entry: the target.
        seed: the seed of its rows and of the trainings.
        arguments: the arguments of the script.
    """
    values = _setting(arguments) | {"rows": arguments.rows, "seed": seed}
    plan = plan_entry(entry, bank, start=AUTO, **values)
    _, suggestions = find_starts(bank, backbone, plan)
    suggested = [version.ref for version in suggestions.versions]
    starts: dict[str, tuple[Start, ...]] = {UNTRAINED: ()} | {
        record.ref: read_starts(bank, replace(plan.spec, start=record.ref))
        for record in bank
        if record.task != entry.name
        and (not arguments.whole or record.ref in suggested or PART not in record.task)
    }
    trainer = Trainer(
        backbone,
        replace(plan, starts=tuple(one for found in starts.values() for one in found)),
        progress=True,
    )
    setting = fit_to_backbone(plan, backbone)
    examples = plan.data.evaluated_splits[plan.data.scored_split]
    trials: dict[str, Trial] = {}
    scores: dict[str, list[float]] = {}
    for ref, found in starts.items():
        parents = found[0].parents if found else ()
        trial = trainer.run(replace(setting, parents=parents), caption=f"{entry.name} from {ref}")
        predictions = trainer.evaluate(trial).predictions[plan.data.scored_split]
        trials[ref] = trial
        scores[ref] = []
        for rows in (slice(None), slice(0, None, 2), slice(1, None, 2)):
            chosen = np.arange(len(examples))[rows].tolist()
            part = examples.select(chosen, examples.origin).columns
            value = plan.kind.scores(predictions[chosen], part, trial.definition)[plan.metric]
            scores[ref].append(100 * orient(plan.metric, value))
        for specification in trainer.checkpoints(trial):
            Checkpoint(specification, resume=False).remove()
    tried = {found[0].parents: ref for ref, found in starts.items() if ref in suggested}
    offered = [trials[ref] for ref in (UNTRAINED, *suggested)]
    best = best_trial(offered, tried, plan.metric)
    stored = tried.get(best.setting.parents, UNTRAINED)
    return [
        Cell(
            entry.name,
            seed,
            ref,
            ref in suggested,
            ref == stored,
            100 * orient(plan.metric, trials[ref].score),
            trials[ref].loss,
            whole,
            (first, second),
            trials[ref].seconds,
        )
        for ref, (whole, first, second) in scores.items()
    ]


def table(cells: Sequence[Cell]) -> str:
    """Return the scores by target and the differences as Markdown.

    Args:
        cells: every training of at least one target.
    """
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    seeds = sorted({cell.seed for cell in cells})
    columns = ("untrained", "auto", "regret@3", "best of all, over untrained")
    grids = {name: np.full((len(tasks), len(seeds)), np.nan) for name in columns}
    starts: dict[str, list[str]] = defaultdict(list)
    for task, seed in product(tasks, seeds):
        own = [cell for cell in cells if (cell.task, cell.seed) == (task, seed)]
        if not own:
            continue
        place = tasks.index(task), seeds.index(seed)
        untrained = next(cell for cell in own if cell.start == UNTRAINED)
        offered = [cell for cell in own if cell.suggested or cell.start == UNTRAINED]
        grids["untrained"][place] = untrained.score
        grids["auto"][place] = next(cell.score for cell in own if cell.stored)
        grids["regret@3"][place] = best_of(own) - best_of(offered)
        grids["best of all, over untrained"][place] = best_of(own) - best_of([untrained])
        starts[task] += [cell.start for cell in own if cell.suggested]
    lines = [["target", *columns, "suggested"]]
    for number, task in enumerate(tasks):
        values = [f"{np.nanmean(grids[name][number]):.1f}" for name in columns]
        lines.append([task, *values, ", ".join(dict.fromkeys(starts[task])) or "none"])
    means = [f"**{np.mean(np.nanmean(grids[name], axis=1)):.1f}**" for name in columns]
    lines.append(["**mean**", *means, ""])
    compared = [["", "mean", "95 %", "p"]]
    differences = {
        "gain of auto": grids["auto"] - grids["untrained"],
        "regret@3": grids["regret@3"],
        "gain of the best start": grids["best of all, over untrained"],
    }
    for name, found in compare(differences).items():
        interval = f"{found.low:+.2f} to {found.high:+.2f}"
        compared.append([name, f"{found.mean:+.2f}", interval, f"{found.p_value:.3f}"])
    return f"{markdown(lines)}\n\n{markdown(compared)}"


def best_of(cells: Sequence[Cell]) -> float:
    """Return the score of the best training, chosen on one half of the test rows.

    Args:
        cells: trainings of one target from one seed. The best on each half is scored on the other.
    """
    chosen = [max(cells, key=lambda cell: cell.halves[half]).halves[1 - half] for half in (0, 1)]
    return float(np.mean(chosen))


def _read(path: Path) -> list[Cell]:
    if not path.exists():
        return []
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Cell(**{**one, "halves": tuple(one["halves"])}) for one in found]


def _arguments() -> argparse.Namespace:
    parser = suite_parser(__doc__)
    parser.add_argument("targets", type=Path, help="suite file of the new tasks")
    parser.add_argument("--seeds", type=int, default=1, help="seeds per target")
    parser.add_argument("--rows", type=int, default=500, help="training rows of a target")
    parser.add_argument("--source-rows", type=int, default=2000, help="most rows of a source")
    parser.add_argument("--classes", type=int, default=5, help="classes of a part of a data set")
    parser.add_argument("--epochs", type=int, help="epochs (default: that of taskbank)")
    parser.add_argument(
        "--whole", action="store_true", help="leave parts out, unless they are suggested"
    )
    parser.add_argument("--layers", default="top:2", help="layers to adapt")
    return parser.parse_args()


if __name__ == "__main__":
    main()
