"""Measures serving many tasks beside `adapters` and `peft`: evaluation, mixed batches, switching.

    python scripts/benchmarks/serving_speed.py --backbone SPEC --data FOLDER
        --environments FOLDER --output FOLDER [--rows 80] [--loaded 1000] [--repeats 3]
        [--threads 2] [--only PART ...]

Double bottlenecks of size 64 are compared with those of `adapters`, low-rank updates of rank 8
with those of `peft`: untrained, each with different weights, on the same texts. Each run is a
process of its own. The parts are:

- `evaluation`: 20 tasks, each on its own texts, from texts to predictions. The peers activate one
  task after the other and use a DataLoader; taskbank runs `verify-all --level full` on a bank,
  which also reads and checks everything stored.
- `mixed`: one batch of 64 rows of 32 tasks. The bare backbone of transformers computes the same
  rows, padded, in the same process.
- `uneven`: 512 tokenized rows of uneven length and 32 tasks. The peers compute batches of 64 in
  the order given, with `adapter_names` and `BatchSplit`.
- `fanout`: one text for 100 tasks that adapt the top two layers, at once and one by one.
- `switch`: the extra time for one text when the task changes, with 1,000 tasks loaded (32 for the
  peers).

Every worker fails if its outputs are wrong: a mixed batch must give what each row or task gives
alone, and taskbank's evaluation must confirm the recorded predictions. Exits with 1 if the sides
computed different numbers of rows or tokens.
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

from scripts.benchmarks.comparison import (
    Run,
    Side,
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
    run_worker,
    versions,
)
from scripts.shared.tables import aligned
from taskbank import plugins
from taskbank.data.sources import read_examples

DATA = ("airline", "trec", "sst2", "cola", "banking77", "sms_spam", "bbc", "newsgroups")
EVALUATION_TASKS, EVALUATION_ROWS = 20, 80
MIXED_ROWS, UNEVEN_ROWS, MIXED_TASKS = 64, 512, 32
MAX_LENGTH = 128
PARTS = ("evaluation", "mixed", "uneven", "fanout", "switch")
TIMES = {"evaluation": 1, "mixed": 15, "uneven": 1, "fanout": 5, "switch": 1}  # per process
METHODS = {"adapters": "houlsby", "peft": "lora"}  # taskbank's counterpart of each peer


def main() -> None:
    """Run every part with every side."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pythons = {peer: peer_python(arguments.environments, peer) for peer in METHODS}
    for peer, python in pythons.items():
        print(f"{peer}: {versions(python, peer)}")
    encoder = Encoder.at(backbone_folder(arguments.backbone))
    folder = arguments.output / "runs"
    machine = matmul_rates(arguments.threads, folder / "machine")
    job = {
        "backbone": str(backbone_folder(arguments.backbone)),
        "texts": str(_write_texts(arguments)),
        "max_length": MAX_LENGTH,
        "size": 64,
        "rank": 8,
        "fanout_layers": "top:2",
        "fanout_tasks": 100,
        "loaded": arguments.loaded,
        "threads": arguments.threads,
    }
    equal_work = True
    for part in PARTS:
        if arguments.only and part not in arguments.only:
            continue
        sides = _sides(part, job, pythons, arguments.output)
        runs = run_rounds(sides, arguments.repeats, part)
        write_runs(arguments.output, part, runs)
        print(
            f"\n{part}, {arguments.threads} threads, {arguments.repeats} rounds; "
            f"matrix products on this machine: {format_rates(machine)}"
        )
        if part in ("evaluation", "uneven"):
            _print_rates(runs, encoder, machine)
        if part == "evaluation":
            _print_computing(runs)
        if part in COLUMNS:
            _print_columns(part, runs)
        equal_work &= _is_equal_work(runs)
        sys.stdout.flush()
    afterwards = matmul_rates(arguments.threads, folder / "machine")
    print(f"\nmachine afterwards: {format_rates(afterwards)}")
    sys.exit(not equal_work)


def _arguments() -> argparse.Namespace:
    parser = peer_parser(__doc__)
    parser.add_argument(
        "--rows", type=int, default=EVALUATION_ROWS, metavar="N", help="rows per task to evaluate"
    )
    parser.add_argument(
        "--loaded", type=int, default=1000, metavar="N", help="tasks that taskbank switches between"
    )
    parser.add_argument("--only", nargs="+", default=[], choices=PARTS, metavar="PART")
    return parser.parse_args()


# Running


def _sides(
    part: str, job: Mapping[str, Any], pythons: Mapping[str, Path], output: Path
) -> dict[str, Side]:
    """Return the sides of a part: each peer, and taskbank with the peer's method."""
    common = dict(job) | {
        "part": part,
        "tasks": EVALUATION_TASKS if part == "evaluation" else MIXED_TASKS,
        "times": TIMES[part],
    }
    folder, here = output / "runs" / part, Path(sys.executable)
    sides: dict[str, Side] = {}
    for peer, method in METHODS.items():
        own = common | {"method": method, "bank": str(output.absolute() / f"{method}.db")}
        if part == "evaluation":
            run_worker(here, "taskbank_serving.py", own | {"part": "fill"}, folder)
        if part != "fanout":  # the peers have no counterpart
            sides[peer] = partial(run_worker, pythons[peer], f"{peer}_serving.py", common, folder)
        sides[method] = partial(run_worker, here, "taskbank_serving.py", own, folder)
    return sides


def _write_texts(arguments: argparse.Namespace) -> Path:
    """Write the texts of all sides, and return the file."""
    kind = plugins.load("kinds", "single")
    generator = np.random.default_rng(0)
    texts = {
        name: read_examples(
            str(arguments.data / name / "train.parquet"), kind.inputs, kind.label
        ).columns["text"]
        for name in DATA
    }

    def task_columns(number: int) -> dict[str, Any]:
        own = texts[DATA[number % len(DATA)]]
        first = number // len(DATA) * arguments.rows
        labels = generator.choice(["no", "yes"], arguments.rows).tolist()
        return {"text": own[first : first + arguments.rows], "label": labels}

    def mixed_rows(count: int, names: tuple[str, ...]) -> dict[str, Any]:
        chosen = [texts[names[row % len(names)]][-1 - row] for row in range(count)]
        tasks = generator.permutation(np.arange(count) % MIXED_TASKS).tolist()
        return {"text": [chosen[row] for row in generator.permutation(count)], "task": tasks}

    content = {
        "tasks": [task_columns(number) for number in range(EVALUATION_TASKS)],
        "mixed": mixed_rows(MIXED_ROWS, ("airline", "trec")),
        "uneven": mixed_rows(UNEVEN_ROWS, DATA),
    }
    path: Path = arguments.output / "serving.texts.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


# Results

# The table of a part: for each column, a figure of the runs, its factor, and its digits (0 for a
# count, which is the same in every run).
COLUMNS: Mapping[str, Mapping[str, tuple[str, float, int]]] = {
    "mixed": {
        "ms": ("seconds", 1e3, 1),
        "ms, bare backbone": ("bare", 1e3, 1),
        "times the bare backbone": ("times_bare", 1, 2),
        "ms, one task at a time": ("separate", 1e3, 1),
        "times the bare backbone, one task at a time": ("separate_times_bare", 1, 2),
    },
    "fanout": {
        "tasks": ("tasks", 1, 0),
        "ms at once": ("seconds", 1e3, 1),
        "ms one by one": ("separately", 1e3, 1),
        "ratio": ("ratio", 1, 2),
    },
    "switch": {
        "tasks loaded": ("loaded", 1, 0),
        "ms to switch": ("seconds", 1e3, 3),
        "ms to compute one text": ("compute", 1e3, 1),
    },
}


def _print_columns(part: str, runs: Mapping[str, list[Run]]) -> None:
    rows = []
    for side, own in runs.items():
        cells = {"side": side}
        for column, (figure, factor, digits) in COLUMNS[part].items():
            numbers = [factor * run[figure] for run in own if figure in run]
            if numbers:
                count = f"{numbers[0]:,.0f}"
                cells[column] = median_and_range(numbers, digits) if digits else count
        rows.append(cells)
    print(aligned(rows))


def _print_rates(
    runs: Mapping[str, list[Run]], encoder: Encoder, machine: Mapping[str, float]
) -> None:
    rows = []
    for side, own in runs.items():
        first, taken = own[0], median(values(own, "seconds"))
        work = encoder.forward(first["tokens"], first["squares"])
        rows.append(
            {
                "side": side,
                "seconds": median_and_range(values(own, "seconds")),
                "rows/s": f"{first['rows'] / taken:,.0f}",
                "tokens/s": f"{first['tokens'] / taken:,.0f}",
                "of the rate": f"{work / taken / machine['float32']:.0%}",
                "MiB": median_and_range(values(own, "memory"), 0),
            }
        )
    print(aligned(rows))
    for peer, method in METHODS.items():
        speed = median_and_range(ratios(runs[peer], runs[method]))
        print(f"{method} is {speed} times as fast as {peer}")


def _print_computing(runs: Mapping[str, list[Run]]) -> None:
    for peer, method in METHODS.items():
        computing = [run | {"seconds": run["computing"]} for run in runs[peer]]
        speed = median_and_range(ratios(computing, runs[method]))
        print(f"{method} is {speed} times as fast as {peer} without the peer's tokenizing")


def _is_equal_work(runs: Mapping[str, list[Run]]) -> bool:
    """Return whether all sides computed as many rows and tokens; print any difference."""
    equal = True
    for count in ("rows", "tokens"):
        counts = {side: own[0][count] for side, own in runs.items() if count in own[0]}
        if len(set(counts.values())) > 1:
            print(f"NOT EQUAL: {count} are {counts}")
            equal = False
    return equal


if __name__ == "__main__":
    main()
