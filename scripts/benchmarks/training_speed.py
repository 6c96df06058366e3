"""Measures training speed beside `adapters` and `peft`, both with the Trainer of transformers.

    python scripts/benchmarks/training_speed.py --backbone SPEC --data FOLDER
        --environments FOLDER --output FOLDER [--rows N] [--test N] [--epochs 3] [--repeats 3]
        [--threads 2] [--only TEXT ...]

Double bottlenecks of size 64 are compared with those of `adapters`, low-rank updates of rank 8
with those of `peft`: on the same rows, with the same length, batch size, learning rate, epochs,
seed and threads, each run in a process of its own. The timing covers training alone: it starts
from tokenized rows and excludes evaluation. The peers run the Trainer with its defaults, with
`group_by_length`, and with that in bfloat16; their model and classification head are those their
users get. Afterwards every side is scored on the same test rows.

Prints for each data set and side the time, tokens per second (of the texts, without padding), the
share of the machine's rate of matrix products, and the peak memory; then taskbank's speed as a
multiple of the peer's. Exits with 1 if a side did other work than its peer's defaults, or if its
score is lower by more than chance explains. The default numbers of rows suffice for a timing, not
for a score: for that, use `--rows 2000 --test 1000 --repeats 1`. Sides in bfloat16 are skipped on
processors without bfloat16 instructions.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from scripts.benchmarks.comparison import (
    Run,
    median_and_range,
    ratios,
    run_rounds,
    values,
    write_runs,
)
from scripts.benchmarks.flops import Encoder
from scripts.benchmarks.peers import (
    backbone_folder,
    format_rates,
    matmul_rates,
    peer_parser,
    peer_python,
    precisions,
    run_worker,
    versions,
)
from scripts.shared.tables import aligned
from taskbank import plugins
from taskbank.data.examples import Examples
from taskbank.data.splits import sample
from taskbank.specs import TaskSpec
from taskbank.training.task_data import read_task_data

VALIDATION = 20  # rows on which taskbank chooses its epoch; the peers choose none
PARAMETER_TOLERANCE = 0.05  # taskbank trains the LayerNorms as well


@dataclass(frozen=True)
class Case:
    """A data set to train on.

    Attributes:
        data: its folder.
        rows: number of training rows.
        test: number of test rows.
        max_length: tokens after which an input is truncated.
    """

    data: str
    rows: int
    test: int
    max_length: int


CASES = (
    Case("airline", 400, 500, 128),
    Case("trec", 800, 500, 128),
    Case("newsgroups", 64, 100, 256),
)


@dataclass(frozen=True)
class TrainingSide:
    """One side of a comparison.

    Attributes:
        name: its name in the table.
        peer: the peer whose environment it runs in; none for taskbank.
        method: `houlsby` or `lora`.
        precision: number type of the products, `float32` or `bfloat16`.
        layers: the adapted layers.
        grouped: whether a peer batches rows of similar length.
    """

    name: str
    peer: str | None
    method: str
    precision: str = "float32"
    layers: str = "all"
    grouped: bool = False


def sides_of(peer: str, method: str) -> tuple[TrainingSide, ...]:
    """Return the sides of a peer, its defaults first, and those of taskbank.

    Sides in a number type that the processor only emulates are left out: they would take hours.
    """
    every_side = (
        TrainingSide(f"{peer}, defaults", peer, method),
        TrainingSide(f"{peer}, group_by_length", peer, method, grouped=True),
        TrainingSide(f"{peer}, group_by_length, bfloat16", peer, method, "bfloat16", grouped=True),
        TrainingSide(f"{method}", None, method),
        TrainingSide(f"{method}, bfloat16", None, method, "bfloat16"),
        TrainingSide(f"{method}, top:3", None, method, layers="top:3"),
        TrainingSide(f"{method}, top:3, bfloat16", None, method, "bfloat16", "top:3"),
    )
    native = precisions()
    return tuple(side for side in every_side if side.precision in native)


SIDES = {"adapters": sides_of("adapters", "houlsby"), "peft": sides_of("peft", "lora")}


def main() -> None:
    """Compare taskbank with every peer on every data set."""
    arguments = _arguments()
    comparisons = [
        (case, peer)
        for case in CASES
        for peer in SIDES
        if _is_selected(case.data, {one.data for one in CASES}, arguments.only)
        and _is_selected(peer, set(SIDES), arguments.only)
    ]
    pythons: dict[str | None, Path] = {None: Path(sys.executable)}
    for peer in dict.fromkeys(peer for _, peer in comparisons):
        pythons[peer] = peer_python(arguments.environments, peer)
        print(f"{peer}: {versions(pythons[peer], peer)}")
    folder = arguments.output / "runs"
    machine = matmul_rates(arguments.threads, folder / "machine")
    equal_work = True
    for case, peer in comparisons:
        name, job = f"{case.data}-{peer}", _job(arguments, case)
        calls = {
            side.name: partial(_run, pythons[side.peer], side, job, folder / name)
            for side in SIDES[peer]
        }
        runs = run_rounds(calls, arguments.repeats, name)
        write_runs(arguments.output, name, runs)
        _print_results(case, SIDES[peer], runs, machine, arguments)
        for difference in _differences(SIDES[peer], runs):
            print(f"NOT EQUAL: {difference}", flush=True)
            equal_work = False
    afterwards = matmul_rates(arguments.threads, folder / "machine")
    print(f"\nmachine afterwards: {format_rates(afterwards)}")
    sys.exit(not equal_work)


def _arguments() -> argparse.Namespace:
    parser = peer_parser(__doc__)
    parser.add_argument("--rows", type=int, metavar="N", help="training rows of every data set")
    parser.add_argument("--test", type=int, metavar="N", help="test rows of every data set")
    parser.add_argument("--epochs", type=int, default=3, metavar="N")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="names of data sets and peers"
    )
    return parser.parse_args()


def _is_selected(name: str, names: set[str], only: list[str]) -> bool:
    return name in only or not names.intersection(only)


# Running


def _job(arguments: argparse.Namespace, case: Case) -> dict[str, Any]:
    """Return what the jobs of all sides have in common."""
    texts, classes = _write_texts(arguments, case)
    return {
        "backbone": str(backbone_folder(arguments.backbone)),
        "texts": str(texts),
        "classes": classes,
        "max_length": case.max_length,
        "size": 64,
        "rank": 8,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "epochs": arguments.epochs,
        "seed": 0,
        "threads": arguments.threads,
        "folder": str(arguments.output / "trainer"),
    }


def _write_texts(arguments: argparse.Namespace, case: Case) -> tuple[Path, int]:
    """Write the rows of all sides; return the file and the number of classes."""
    kind = plugins.load("kinds", "single")
    files = {name: arguments.data / case.data / f"{name}.parquet" for name in ("train", "test")}
    data = read_task_data(kind, TaskSpec("texts", str(files["train"]), test=str(files["test"])))
    assert data.test is not None  # noqa: S101 - its source is given

    def rows(examples: Examples, count: int, seed: int) -> dict[str, Any]:
        return dict(sample(examples, kind.strata(examples.columns), count, seed).columns)

    # A few rows of the validation split that read_task_data holds out of train.
    texts = {
        "labels": data.definition.labels,
        "train": rows(data.train, arguments.rows or case.rows, 1),
        "validation": rows(data.validation, VALIDATION, 2),
        "test": rows(data.test, arguments.test or case.test, 3),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    path: Path = arguments.output / f"{case.data}.texts.json"
    path.write_text(json.dumps(texts), encoding="utf-8")
    return path, len(data.definition.labels)


def _run(python: Path, side: TrainingSide, job: dict[str, Any], folder: Path) -> Run:
    own = {name: getattr(side, name) for name in ("method", "precision", "layers", "grouped")}
    return run_worker(python, f"{side.peer or 'taskbank'}_training.py", job | own, folder)


# Results


def _print_results(
    case: Case,
    sides: Sequence[TrainingSide],
    runs: Mapping[str, list[Run]],
    machine: Mapping[str, float],
    arguments: argparse.Namespace,
) -> None:
    encoder = Encoder.at(backbone_folder(arguments.backbone))
    first = runs[sides[0].name][0]
    print(
        f"\n{case.data}, {first['rows']:,} rows of {first['tokens'] / first['rows']:.0f} tokens, "
        f"{arguments.epochs} epochs, {arguments.threads} threads, {arguments.repeats} rounds; "
        f"matrix products on this machine: {format_rates(machine)}"
    )
    rows = []
    for side in sides:
        own = runs[side.name]
        adapted = encoder.layers if side.layers == "all" else int(side.layers.partition(":")[2])
        work = encoder.training(
            first["tokens"], first["squares"], arguments.epochs, adapted, own[0]["parameters"]
        )
        taken = median(values(own, "seconds"))
        rows.append(
            {
                "side": side.name,
                "seconds": median_and_range(values(own, "seconds")),
                "tokens/s": f"{arguments.epochs * first['tokens'] / taken:,.0f}",
                "of the rate": f"{work / taken / machine[side.precision]:.0%}",
                "MiB": median_and_range(values(own, "memory"), 0),
                "tokenizing": median_and_range(values(own, "tokenizing")),
                "trained": f"{own[0]['parameters']:,}",
                "accuracy": f"{mean(values(own, 'accuracy')):.3f}",
            }
        )
    print(aligned(rows))
    speeds = [
        {"times as fast": side.name}
        | {
            f"as {other.name}": median_and_range(ratios(runs[other.name], runs[side.name]))
            for other in sides
            if other.peer
        }
        for side in sides
        if not side.peer
    ]
    print(f"\n{aligned(speeds)}", flush=True)


def _differences(sides: Sequence[TrainingSide], runs: Mapping[str, list[Run]]) -> list[str]:
    """Return how the work or quality of each side differs from that of the first."""
    reference = runs[sides[0].name]
    expected = reference[0]
    score = mean(values(reference, "accuracy"))
    differences = []
    for side in sides:
        run = runs[side.name][0]
        differences += [
            f"{side.name} has {run[count]:,} {count}, not {expected[count]:,}"
            for count in ("rows", "tokens", "steps", "scored")
            if run[count] != expected[count]
        ]
        trained, usual = run["parameters"], expected["parameters"]
        if side.layers == "all" and abs(trained / usual - 1) > PARAMETER_TOLERANCE:
            differences.append(f"{side.name} trains {trained:,} parameters, not {usual:,}")
        # Two standard errors of the difference of two shares of the same rows.
        chance = 2 * math.sqrt(2 * score * (1 - score) / run["scored"])
        if run["accuracy"] < score - chance:
            differences.append(
                f"{side.name} reaches {run['accuracy']:.3f}, not {score:.3f} ± {chance:.3f}"
            )
    return differences


if __name__ == "__main__":
    main()
