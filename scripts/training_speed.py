"""How fast an adapter is trained, beside `adapters` and `peft` with the Trainer of transformers.

    python scripts/training_speed.py --backbone SPEC --data FOLDER --environments FOLDER
        --output FOLDER [--rows N] [--test N] [--epochs N] [--repeats N] [--threads N]
        [--only TEXT ...]

Double bottlenecks of size 64 against those of `adapters`, low-rank updates of rank 8 against those
of `peft`: the same rows, length, batch, rate, epochs, seed and number of threads, each run in a
process of its own. Timed is the training alone, from tokenised rows on, without evaluation. The
peers have the Trainer at its defaults, with `group_by_length`, and with that in bfloat16, and the
model and head for classes that their users take. Afterwards every side is scored on the same rows
of test.

Prints for each data set what every side took, the tokens a second (of the texts, not of padding),
the share of this machine's measured rate of matrix products, and the largest memory of its process;
then how many times as long the peer took as taskbank. Exits with 1 if a side did not do the same
work, or taskbank's score is below its peer's by more than chance explains. The few rows that are
taken by default are enough for a time, not for a score: `--rows 2000 --test 1000 --repeats 1` gives
one. On a processor without instructions for bfloat16, what would use it is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from peers import (
    backbone_folder,
    comparison_parser,
    environment,
    machine_rate,
    precisions,
    rates,
    run_worker,
    versions,
)
from products import Encoder
from side_by_side import Found, in_turn, ratios, shown, table, values, write

from taskbank import plugins
from taskbank.data.examples import Examples
from taskbank.data.splits import sample
from taskbank.training.task_data import Sources, read_task_data

VALIDATION = 20  # rows that taskbank chooses its epoch on; its peers do not
SAME = 0.05  # trained parameters may differ by so much: taskbank trains LayerNorms, too


@dataclass(frozen=True)
class Case:
    """A data set that is trained on.

    Attributes:
        data: its folder.
        rows: of train.
        test: rows that are scored.
        max_length: tokens an input is cut to.
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
class Trained:
    """A side: how it is trained.

    Attributes:
        name: what the table calls it.
        peer: in whose environment it runs; none for taskbank.
        method: `houlsby` or `lora`.
        precision: of the products, `float32` or `bfloat16`.
        layers: that are adapted.
        grouped: whether batches are of similar length, where a peer leaves that open.
    """

    name: str
    peer: str | None
    method: str
    precision: str = "float32"
    layers: str = "all"
    grouped: bool = False


def sides(peer: str, method: str) -> tuple[Trained, ...]:
    """Return a peer's sides, its defaults first, and taskbank's.

    One whose number type the processor only emulates is left out: it would take hours.
    """
    everyone = (
        Trained(f"{peer}, defaults", peer, method),
        Trained(f"{peer}, group_by_length", peer, method, grouped=True),
        Trained(f"{peer}, group_by_length, bfloat16", peer, method, "bfloat16", grouped=True),
        Trained(f"{method}", None, method),
        Trained(f"{method}, bfloat16", None, method, "bfloat16"),
        Trained(f"{method}, top:3", None, method, layers="top:3"),
        Trained(f"{method}, top:3, bfloat16", None, method, "bfloat16", "top:3"),
    )
    own = precisions()
    return tuple(side for side in everyone if side.precision in own)


DUELS = {"adapters": sides("adapters", "houlsby"), "peft": sides("peft", "lora")}


def main() -> None:
    """Run every duel on every data set."""
    given = _parser().parse_args()
    wanted = [
        (case, peer)
        for case in CASES
        for peer in DUELS
        if _is_wanted(case.data, {one.data for one in CASES}, given.only)
        and _is_wanted(peer, set(DUELS), given.only)
    ]
    pythons: dict[str | None, Path] = {None: Path(sys.executable)}
    for peer in dict.fromkeys(peer for _, peer in wanted):
        pythons[peer] = environment(given.environments, peer)
        print(f"{peer}: {versions(pythons[peer], peer)}")
    runs = given.output / "runs"
    machine = machine_rate(given.threads, runs / "machine")
    right = True
    for case, peer in wanted:
        name, duel, job = f"{case.data}-{peer}", DUELS[peer], _job(given, case)
        sides = {
            side.name: partial(_run, pythons[side.peer], side, job, runs / name) for side in duel
        }
        found = in_turn(sides, given.repeats, name)
        write(given.output, name, found)
        right &= _report(case, duel, found, machine, given)
    print(f"\nthis machine afterwards: {rates(machine_rate(given.threads, runs / 'machine'))}")
    sys.exit(not right)


def _parser() -> argparse.ArgumentParser:
    parser = comparison_parser(__doc__)
    parser.add_argument("--rows", type=int, metavar="N", help="of each train, not its own number")
    parser.add_argument("--test", type=int, metavar="N", help="of each test, likewise")
    parser.add_argument("--epochs", type=int, default=3, metavar="N")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="data sets or peers")
    return parser


def _is_wanted(name: str, names: set[str], only: list[str]) -> bool:
    return name in only or not names.intersection(only)


def _job(given: argparse.Namespace, case: Case) -> dict[str, Any]:
    """Return what all sides have in common."""
    texts, classes = _texts(given, case)
    return {
        "backbone": str(backbone_folder(given.backbone)),
        "texts": str(texts),
        "classes": classes,
        "max_length": case.max_length,
        "size": 64,
        "rank": 8,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "epochs": given.epochs,
        "seed": 0,
        "threads": given.threads,
        "folder": str(given.output / "trainer"),
    }


def _texts(given: argparse.Namespace, case: Case) -> tuple[Path, int]:
    """Write the rows that all sides train on, and return where, and the number of classes."""
    kind = plugins.load("kinds", "single")
    files = {name: given.data / case.data / f"{name}.parquet" for name in ("train", "test")}
    data = read_task_data(kind, Sources(str(files["train"]), test=str(files["test"])), {}, seed=0)
    assert data.test is not None  # noqa: S101 - it was given

    def some(examples: Examples, rows: int, seed: int) -> dict[str, Any]:
        return dict(sample(examples, kind.strata(examples.columns), rows, seed).columns)

    # Of the validation that read_task_data holds out of train, a few rows.
    said = {
        "labels": data.definition.labels,
        "train": some(data.train, given.rows or case.rows, 1),
        "validation": some(data.validation, VALIDATION, 2),
        "test": some(data.test, given.test or case.test, 3),
    }
    given.output.mkdir(parents=True, exist_ok=True)
    path: Path = given.output / f"{case.data}.texts.json"
    path.write_text(json.dumps(said), encoding="utf-8")
    return path, len(data.definition.labels)


def _run(python: Path, side: Trained, job: dict[str, Any], folder: Path) -> Found:
    own = {name: getattr(side, name) for name in ("method", "precision", "layers", "grouped")}
    return run_worker(python, f"{side.peer or 'taskbank'}_training.py", job | own, folder)


def _report(
    case: Case,
    duel: tuple[Trained, ...],
    found: Mapping[str, list[Found]],
    machine: Mapping[str, float],
    given: argparse.Namespace,
) -> bool:
    """Print what came of a duel, and return whether the sides did the same."""
    encoder = Encoder.at(backbone_folder(given.backbone))
    first = found[duel[0].name][0]
    print(
        f"\n{case.data}, {first['rows']:,} rows of {first['tokens'] / first['rows']:.0f} tokens, "
        f"{given.epochs} epochs, {given.threads} threads, {given.repeats} runs each; "
        f"this machine multiplies at {rates(machine)}"
    )
    rows = []
    for side in duel:
        runs = found[side.name]
        adapted = encoder.layers if side.layers == "all" else int(side.layers.partition(":")[2])
        work = encoder.training(
            first["tokens"], first["squares"], given.epochs, adapted, runs[0]["parameters"]
        )
        taken = median(values(runs, "seconds"))
        rows.append(
            {
                "side": side.name,
                "seconds": shown(values(runs, "seconds")),
                "tokens/s": f"{given.epochs * first['tokens'] / taken:,.0f}",
                "of the rate": f"{work / taken / machine[side.precision]:.0%}",
                "MiB": shown(values(runs, "memory"), 0),
                "tokenising": shown(values(runs, "tokenising")),
                "trained": f"{runs[0]['parameters']:,}",
                "accuracy": f"{mean(values(runs, 'accuracy')):.3f}",
            }
        )
    print(table(rows))
    peers = [side for side in duel if side.peer]
    own = [side for side in duel if not side.peer]
    print()
    print(
        table(
            [
                {"times as fast": side.name}
                | {
                    f"as {peer.name}": shown(ratios(found[peer.name], found[side.name]))
                    for peer in peers
                }
                for side in own
            ]
        ),
        flush=True,
    )
    problems = [
        problem
        for side in duel
        for problem in _differences(side, found[side.name][0], first, found[duel[0].name])
    ]
    for problem in problems:
        print(f"NOT THE SAME: {problem}")
    return not problems


def _differences(side: Trained, one: Found, other: Found, reference: list[Found]) -> list[str]:
    """Return in what a side's work or quality differs from that of its peer's defaults."""
    problems = [
        f"{side.name} has {one[what]:,} {what}, not {other[what]:,}"
        for what in ("rows", "tokens", "steps", "scored")
        if one[what] != other[what]
    ]
    if side.layers == "all" and abs(one["parameters"] / other["parameters"] - 1) > SAME:
        problems.append(
            f"{side.name} trains {one['parameters']:,} parameters, not {other['parameters']:,}"
        )
    score = mean(values(reference, "accuracy"))
    # Two standard errors of the difference of two shares of the same rows.
    chance = 2 * math.sqrt(2 * score * (1 - score) / one["scored"])
    if one["accuracy"] < score - chance:
        problems.append(
            f"{side.name} reaches {one['accuracy']:.3f}, not {score:.3f} ± {chance:.3f}"
        )
    return problems


if __name__ == "__main__":
    main()
