"""Compares ways of training on a few rows of each class, SetFit's among them.

    python scripts/paper/few_rows.py scripts/suites/few.toml --data FOLDER --output FOLDER \\
        --backbone SPEC --environments FOLDER [--rows 8] [--seeds 5] [--threads 2]

Every way gets the same rows of each class, drawn by the seed, and is scored on the same 500 other
rows of the training data. taskbank holds a tenth of its rows out, SetFit trains on all of them.
What is in FOLDER is not trained again.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scripts.benchmarks.peers import backbone_folder, peer_python, run_worker
from scripts.paper.paired_differences import compare, mean_and_spread
from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown, write_csv
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.pipeline.add_task import add_task
from taskbank.pipeline.suite_file import read_suite

TEST_ROWS = 500
MAX_LENGTH = 128
SETFIT = "SetFit"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "epochs": {"epochs": 20},
    "linear": {"method": "linear"},
}


def main() -> None:
    """Train what is missing, and write the table."""
    arguments = _arguments()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    python = peer_python(arguments.environments, "setfit")
    cells: list[dict[str, Any]] = []
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
        for seed, entry in product(range(arguments.seeds), entries):
            files = draw(entry.values["train"], output / entry.name, arguments.rows, seed)
            for way in WAYS:
                found = train(bank, f"{entry.name}-{way}-{seed}", way, files, arguments, seed)
                cells.append({"task": entry.name, "seed": seed, "way": way} | found)
            folder = output / "setfit" / f"{entry.name}-{seed}"
            found = train_setfit(python, files, folder, arguments, seed)
            cells.append({"task": entry.name, "seed": seed, "way": SETFIT} | found)
            write_csv(output / "cells.csv", cells)
            (output / "few_rows.md").write_text(table(cells) + "\n", encoding="utf-8")
    print(table(cells))


def draw(source: str, folder: Path, each: int, seed: int) -> dict[str, str]:
    """Write so many rows of each class and 500 others to two files, and return their paths.

    Args:
        source: a Parquet file with the columns `text` and `label`.
        folder: where the files are written.
        each: number of rows of each class.
        seed: decides which rows are drawn.
    """
    from datasets import Dataset

    rows = Dataset.from_parquet(source, cache_dir=str(folder / "cache"))
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    labels = rows["label"]
    drawn: dict[str, list[int]] = defaultdict(list)
    for row in order:
        if len(drawn[labels[row]]) < each:
            drawn[labels[row]].append(row)
    train = sorted(row for of_class in drawn.values() for row in of_class)
    taken = set(train)
    parts = {"train": train, "test": [row for row in order if row not in taken][:TEST_ROWS]}
    paths = {}
    for name, chosen in parts.items():
        path = folder / f"{name}-{seed}.jsonl"
        lines = (
            json.dumps({"text": rows[row]["text"], "label": str(labels[row])}) for row in chosen
        )
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        paths[name] = str(path)
    return paths


def train(
    bank: Bank,
    name: str,
    way: str,
    files: Mapping[str, str],
    arguments: argparse.Namespace,
    seed: int,
) -> dict[str, float]:
    """Return the accuracy and the seconds of one way of training, from the bank if it is there."""
    record = next(iter(bank.adapters(task=name)), None)
    if record is None:
        fields = {"seed": seed, "max_length": MAX_LENGTH, **WAYS[way]}
        added = add_task(
            bank,
            name,
            files["train"],
            test=files["test"],
            backbone=arguments.backbone,
            verify="none",
            progress=True,
            **fields,
        )
        record = added.record
    assert record is not None  # noqa: S101 - every way stores its weights
    value = record.value("test")
    assert value is not None  # noqa: S101 - the test rows were given
    print(f"{name}: {100 * value:.1f}", flush=True)
    return {"accuracy": value, "seconds": record.course["seconds"]}


def train_setfit(
    python: Path, files: Mapping[str, str], folder: Path, arguments: argparse.Namespace, seed: int
) -> dict[str, float]:
    """Return the accuracy and the seconds of SetFit, from its answer if it is there."""
    answer = folder / "answer.json"
    if answer.is_file():
        found = json.loads(answer.read_text(encoding="utf-8"))
    else:
        job = {
            **files,
            "backbone": str(backbone_folder(arguments.backbone)),
            "scratch": str(folder / "scratch"),
            "max_length": MAX_LENGTH,
            "seed": seed,
            "threads": arguments.threads,
        }
        found = run_worker(python, "setfit_training.py", job, folder)
    print(f"{folder.name} {SETFIT}: {100 * found['accuracy']:.1f}", flush=True)
    return {"accuracy": found["accuracy"], "seconds": found["seconds"]}


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the accuracies by set and way, and each way's difference from the default."""
    ways = list(dict.fromkeys(cell["way"] for cell in cells))
    tasks = list(dict.fromkeys(cell["task"] for cell in cells))
    seeds = sorted({cell["seed"] for cell in cells})
    scores = {way: np.full((len(tasks), len(seeds)), np.nan) for way in ways}
    times: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        place = tasks.index(cell["task"]), seeds.index(cell["seed"])
        scores[cell["way"]][place] = 100 * cell["accuracy"]
        times[cell["way"]].append(cell["seconds"])
    lines = [["set", *ways]]
    for number, task in enumerate(tasks):
        lines.append([task, *(mean_and_spread(scores[way][number]) for way in ways)])
    means = [float(np.nanmean(np.nanmean(scores[way], axis=1))) for way in ways]
    lines.append(["**mean**", *(f"**{mean:.1f}**" for mean in means)])
    lines.append(["seconds, median", *(f"{np.median(times[way]):.0f}" for way in ways)])
    first, *others = ways
    found = compare({way: scores[way] - scores[first] for way in others})
    differences = [["way", f"difference from {first}", "95 %", "p"]]
    for way, one in found.items():
        interval = f"{one.low:+.1f} to {one.high:+.1f}"
        differences.append([way, f"{one.mean:+.1f}", interval, f"{one.p_value:.3f}"])
    return f"{markdown(lines)}\n\n{markdown(differences)}"


def _arguments() -> argparse.Namespace:
    parser = suite_parser(__doc__)
    parser.add_argument(
        "--environments",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="SetFit's virtual environment, which is created if it is missing",
    )
    parser.add_argument("--rows", type=int, default=8, metavar="N", help="rows of each class")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="draws of the rows")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads per run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
