"""How fast many tasks are evaluated and mixed, beside `adapters` and `peft`.

    python scripts/serving_speed.py --backbone SPEC --data FOLDER --environments FOLDER
        --output FOLDER [--rows N] [--repeats N] [--threads N] [--only PART ...]

Double bottlenecks of size 64 and low-rank updates of rank 8, untrained but each with weights of its
own, on the same texts for all. Each run is a process of its own.

- `evaluation`: 20 tasks, each on its own texts, from texts to predictions. The peers put one task
  on after the other and go through a DataLoader; taskbank verifies a bank of them at level `full`,
  which reads and checks everything that is stored besides.
- `mixed`: 64 rows of 32 tasks in one batch, beside the bare backbone of transformers on the same
  rows, padded, in the same process.
- `uneven`: 512 tokenised rows of uneven length and 32 tasks. The peers take batches of 64 as they
  come, by `adapter_names` and `BatchSplit`.
- `fanout`: one text with 100 tasks that adapt the top two layers, at once and one by one.
- `switch`: how much longer one text takes with another task than the last, with 1,000 tasks
  loaded; 32 for the peers.

Exits with 1 if the sides did not compute the same number of rows and tokens. What a side computes
for a row is compared with what it gives for that row alone, and what taskbank verifies with what
was recorded; a worker for which that is not so fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from peers import (
    backbone_folder,
    comparison_parser,
    environment,
    machine_rate,
    rates,
    run_worker,
    versions,
)
from products import Encoder
from side_by_side import Found, in_turn, ratios, shown, table, values, write

from taskbank import plugins
from taskbank.data.sources import read_examples

DATA = ("airline", "trec", "sst2", "cola", "banking77", "sms_spam", "bbc", "newsgroups")
TASKS, ROWS = 20, 80  # of the evaluation
MIXED_ROWS, UNEVEN_ROWS, MANY = 64, 512, 32
MAX_LENGTH = 128
PARTS = ("evaluation", "mixed", "uneven", "fanout", "switch")
TIMES = {"evaluation": 1, "mixed": 15, "uneven": 1, "fanout": 5, "switch": 1}  # within one process
PAIRS = {"adapters": "houlsby", "peft": "lora"}


def main() -> None:
    """Run every part with every side."""
    given = _parser().parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    pythons = {peer: environment(given.environments, peer) for peer in PAIRS}
    for peer, python in pythons.items():
        print(f"{peer}: {versions(python, peer)}")
    encoder = Encoder.at(backbone_folder(given.backbone))
    job = {
        "backbone": str(backbone_folder(given.backbone)),
        "texts": str(_texts(given)),
        "max_length": MAX_LENGTH,
        "size": 64,
        "rank": 8,
        "fanout_layers": "top:2",
        "fanout_tasks": 100,
        "loaded": given.loaded,
        "threads": given.threads,
    }
    runs = given.output / "runs"
    machine = machine_rate(given.threads, runs / "machine")
    right = True
    for part in PARTS:
        if given.only and part not in given.only:
            continue
        own = job | {
            "part": part,
            "tasks": TASKS if part == "evaluation" else MANY,
            "times": TIMES[part],
        }
        sides = {}
        for peer, method in PAIRS.items():
            ours = own | {"method": method, "bank": str(given.output.absolute() / f"{method}.db")}
            here, folder = Path(sys.executable), runs / part
            if part == "evaluation":
                run_worker(here, "taskbank_serving.py", ours | {"part": "fill"}, folder)
            if part != "fanout":  # the peers have nothing of the kind
                sides[peer] = partial(run_worker, pythons[peer], f"{peer}_serving.py", own, folder)
            sides[method] = partial(run_worker, here, "taskbank_serving.py", ours, folder)
        found = in_turn(sides, given.repeats, part)
        write(given.output, part, found)
        print(
            f"\n{part}, {given.threads} threads, {given.repeats} runs each; this machine "
            f"multiplies at {rates(machine)}"
        )
        SHOW[part](found, encoder, machine)
        right &= _same(found)
        sys.stdout.flush()
    print(f"\nthis machine afterwards: {rates(machine_rate(given.threads, runs / 'machine'))}")
    sys.exit(not right)


def _parser() -> argparse.ArgumentParser:
    parser = comparison_parser(__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help="of each task")
    parser.add_argument("--loaded", type=int, default=1000, metavar="N", help="tasks to switch in")
    parser.add_argument("--only", nargs="+", default=[], choices=PARTS, metavar="PART")
    return parser


def _texts(given: argparse.Namespace) -> Path:
    """Write the texts that all sides take, and return where."""
    kind = plugins.load("kinds", "single")
    generator = np.random.default_rng(0)
    texts = {
        name: read_examples(
            str(given.data / name / "train.parquet"), kind.inputs, kind.label
        ).columns["text"]
        for name in DATA
    }

    def columns(number: int) -> dict[str, Any]:
        all_texts = texts[DATA[number % len(DATA)]]
        first = number // len(DATA) * given.rows
        labels = generator.choice(["no", "yes"], given.rows).tolist()
        return {"text": all_texts[first : first + given.rows], "label": labels}

    def rows(count: int, names: tuple[str, ...]) -> dict[str, Any]:
        found = [texts[names[row % len(names)]][-1 - row] for row in range(count)]
        tasks = generator.permutation(np.arange(count) % MANY).tolist()
        return {"text": [found[row] for row in generator.permutation(count)], "task": tasks}

    said = {
        "tasks": [columns(number) for number in range(TASKS)],
        "mixed": rows(MIXED_ROWS, ("airline", "trec")),
        "uneven": rows(UNEVEN_ROWS, DATA),
    }
    path: Path = given.output / "serving.texts.json"
    path.write_text(json.dumps(said), encoding="utf-8")
    return path


def _show_rates(
    found: Mapping[str, list[Found]], encoder: Encoder, machine: Mapping[str, float]
) -> None:
    """Print what sides took that computed the same rows."""
    rows = []
    for name, runs in found.items():
        first, taken = runs[0], median(values(runs, "seconds"))
        work = encoder.forward(first["tokens"], first["squares"])
        rows.append(
            {
                "side": name,
                "seconds": shown(values(runs, "seconds")),
                "rows/s": f"{first['rows'] / taken:,.0f}",
                "tokens/s": f"{first['tokens'] / taken:,.0f}",
                "of the rate": f"{work / taken / machine['float32']:.0%}",
                "MiB": shown(values(runs, "memory"), 0),
            }
        )
    print(table(rows))
    for peer, method in PAIRS.items():
        print(f"{method} is {shown(ratios(found[peer], found[method]))} times as fast as {peer}")


def _show_evaluation(
    found: Mapping[str, list[Found]], encoder: Encoder, machine: Mapping[str, float]
) -> None:
    _show_rates(found, encoder, machine)
    for peer, method in PAIRS.items():
        computing = [run | {"seconds": run["computing"]} for run in found[peer]]
        print(
            f"beside {peer} without its tokenising, but with its own: "
            f"{shown(ratios(computing, found[method]))}"
        )


def _show_mixed(
    found: Mapping[str, list[Found]], _encoder: Encoder, _machine: Mapping[str, float]
) -> None:
    rows = [
        {
            "side": name,
            "ms": shown([1e3 * run["seconds"] for run in runs], 1),
            "ms of the bare backbone": shown([1e3 * run["bare"] for run in runs], 1),
            "times as long": shown(values(runs, "times_bare")),
        }
        for name, runs in found.items()
    ]
    runs = found["peft"]
    rows.append(
        {
            "side": "peft, one task at a time",
            "ms": shown([1e3 * run["separate"] for run in runs], 1),
            "times as long": shown(values(runs, "separate_times_bare")),
        }
    )
    print(table(rows))


def _show_fanout(
    found: Mapping[str, list[Found]], _encoder: Encoder, _machine: Mapping[str, float]
) -> None:
    rows = [
        {
            "side": name,
            "tasks": f"{runs[0]['tasks']:,}",
            "ms at once": shown([1e3 * run["seconds"] for run in runs], 1),
            "ms one by one": shown([1e3 * run["separately"] for run in runs], 1),
            "share": shown(values(runs, "share")),
        }
        for name, runs in found.items()
    ]
    print(table(rows))


def _show_switch(
    found: Mapping[str, list[Found]], _encoder: Encoder, _machine: Mapping[str, float]
) -> None:
    rows = [
        {
            "side": name,
            "tasks loaded": f"{runs[0]['loaded']:,}",
            "ms to switch": shown([1e3 * run["seconds"] for run in runs], 3),
            "ms to compute one text": shown([1e3 * run["compute"] for run in runs], 1),
        }
        for name, runs in found.items()
    ]
    print(table(rows))


SHOW = {
    "evaluation": _show_evaluation,
    "mixed": _show_mixed,
    "uneven": _show_rates,
    "fanout": _show_fanout,
    "switch": _show_switch,
}


def _same(found: Mapping[str, list[Found]]) -> bool:
    """Return whether all sides computed the same number of rows and tokens; say so if not."""
    right = True
    for what in ("rows", "tokens"):
        counts = {name: runs[0][what] for name, runs in found.items() if what in runs[0]}
        if len(set(counts.values())) > 1:
            print(f"NOT THE SAME: {what} are {counts}")
            right = False
    return right


if __name__ == "__main__":
    main()
