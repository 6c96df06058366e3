"""Fills a SQLite bank with many small adapters and measures what looking at it costs.

usage: python scripts/bank_size.py FILE [--adapters 10000] [--runs 5]

Prints, for whole processes of `taskbank`, the median seconds and the largest memory, and
whether torch was imported.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from processes import commandline, cost
from safetensors.numpy import save
from tqdm import tqdm

import taskbank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.records import MetricRecord
from taskbank.data.examples import Examples
from taskbank.digests import digest_bytes
from taskbank.kinds.definition import Definition
from taskbank.specs import BackboneIdentity, MethodSpec, TrainingSpec

HIDDEN = 4


def adapter(number: int) -> NewAdapter:
    """Return a small adapter whose parts fit together, with weights of its own."""
    weights = {
        "head.weight": np.full((2, HIDDEN), number, dtype=np.float32),
        "head.bias": np.zeros(2, dtype=np.float32),
    }
    digests = [digest_bytes(part) for part in (b"weights", b"config", b"tokenizer")]
    examples = Examples({"text": ("a", "b"), "label": ("no", "yes")}, "made")
    score = (number % 100) / 100
    return NewAdapter(
        task=f"task-{number}",
        kind="single",
        backbone=BackboneIdentity("./nowhere", "bert", "mean", 1, HIDDEN, 2, 64, *digests),
        method=MethodSpec("houlsby", {"size": 8, "init_std": 0.01, "activation": "gelu"}),
        training=TrainingSpec(),
        definition=Definition(("no", "yes"), {"positive": "yes"}),
        metric="accuracy",
        split="test",
        metrics=(MetricRecord("test", "accuracy", score, 0.01, 2),),
        splits=(
            NewSplit(
                "test",
                "made",
                2,
                examples.to_bytes(),
                save({"logits": np.eye(2, dtype=np.float32)}),
            ),
        ),
        parameters=2 * HIDDEN + 2,
        weights=save(weights),
        environment={},
        tags={"team": f"team-{number % 20}"},
    )


def measure(url: str, arguments: list[str], runs: int) -> None:
    """Run a command several times and print what it cost."""
    command = commandline(url, *arguments)
    costs = [cost(command) for _ in range(runs)]
    seconds = [one["seconds"] for one in costs]
    peak = max(one["memory"] for one in costs)
    imports = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
    ).stderr
    torch = any(line.rpartition("|")[2].strip() == "torch" for line in imports.splitlines())
    print(
        f"taskbank {' '.join(arguments):45} {statistics.median(seconds):6.2f} s "
        f"(of {runs}: {min(seconds):.2f} to {max(seconds):.2f}), at most {peak:.0f} MiB, "
        f"torch {'IMPORTED' if torch else 'not imported'}"
    )


def main() -> None:
    """Fill the bank up to the number asked for, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    url = f"sqlite:///{given.file.resolve()}"
    with taskbank.create(url) as bank:
        there = len(bank)
        started = time.perf_counter()
        for number in tqdm(range(there, given.adapters), disable=None):
            bank.put(adapter(number))
        if given.adapters > there:
            each = (time.perf_counter() - started) / (given.adapters - there)
            print(f"recorded {given.adapters - there:,} adapters, {each * 1000:.1f} ms each")
    print(f"{given.adapters:,} adapters, {given.file.stat().st_size / 1e6:.0f} MB")
    measure(url, ["list"], given.runs)
    measure(url, ["show", "task-77"], given.runs)
    measure(url, ["query", 'metric.accuracy > 0.98 and tag.team = "team-19"'], given.runs)
    measure(url, ["list", "--json"], given.runs)
    measure(url, ["verify-all", "--level", "integrity", "--quiet"], 1)


if __name__ == "__main__":
    main()
