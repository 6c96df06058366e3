"""Measures commands that only read a bank of many small adapters.

    python scripts/benchmarks/command_speed.py FILE [--adapters 10000] [--runs 5]

Fills the SQLite bank FILE and runs `list`, `show`, `query` and `verify-all --level integrity`,
each as a process. Prints the median time, the largest peak memory, and whether the process
imported torch.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import taskbank
from scripts.benchmarks.processes import run_measured, taskbank_command
from scripts.benchmarks.synthetic_bank import single_split_adapter
from scripts.shared.arguments import script_parser
from taskbank.bank.new_records import NewAdapter
from taskbank.bank.records import MetricRecord
from taskbank.digests import digest_bytes
from taskbank.specs import BackboneIdentity, MethodSpec

HIDDEN = 4
BACKBONE = BackboneIdentity(
    "./nowhere", "bert", "mean", 1, HIDDEN, 2, 64,
    *(digest_bytes(part) for part in (b"weights", b"config", b"tokenizer")),
)  # fmt: skip
METHOD = MethodSpec("houlsby", {"size": 8, "init_std": 0.01, "activation": "gelu"})


def main() -> None:
    """Fill the bank up to the number of adapters, and measure each command."""
    parser = script_parser(__doc__)
    parser.add_argument("file", type=Path, help="SQLite file; existing adapters are kept")
    parser.add_argument("--adapters", type=int, default=10_000, help="number of adapters")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command")
    arguments = parser.parse_args()
    url = f"sqlite:///{arguments.file.resolve()}"
    with taskbank.create(url) as bank:
        present = len(bank)
        started = time.perf_counter()
        for number in tqdm(range(present, arguments.adapters), disable=None):
            bank.put(small_adapter(number))
        if arguments.adapters > present:
            each = (time.perf_counter() - started) / (arguments.adapters - present)
            print(f"recorded {arguments.adapters - present:,} adapters, {each * 1000:.1f} ms each")
    print(f"{arguments.adapters:,} adapters, {arguments.file.stat().st_size / 1e6:.0f} MB")
    query = 'metric.accuracy > 0.98 and tag.team = "team-19"'
    measure_command(url, ["list"], arguments.runs)
    measure_command(url, ["show", "task-77"], arguments.runs)
    measure_command(url, ["query", query], arguments.runs)
    measure_command(url, ["list", "--json"], arguments.runs)
    measure_command(url, ["verify-all", "--level", "integrity", "--quiet"], 1)


def small_adapter(number: int) -> NewAdapter:
    """Return an adapter of a few numbers, for the task of this number."""
    weights = {
        "head.weight": np.full((2, HIDDEN), number, dtype=np.float32),
        "head.bias": np.zeros(2, dtype=np.float32),
    }
    columns = {"text": ("a", "b"), "label": ("no", "yes")}
    logits = np.eye(2, dtype=np.float32)
    new = single_split_adapter(f"task-{number}", BACKBONE, METHOD, columns, logits, weights)
    accuracy = MetricRecord("test", "accuracy", number % 100 / 100, 0.01, 2)
    return replace(new, metrics=(accuracy,), tags={"team": f"team-{number % 20}"})


def measure_command(url: str, arguments: list[str], runs: int) -> None:
    """Run a command several times and print its cost."""
    command = taskbank_command(url, *arguments)
    costs = [run_measured(command) for _ in range(runs)]
    seconds = [cost["seconds"] for cost in costs]
    peak = max(cost["memory"] for cost in costs)
    print(
        f"taskbank {' '.join(arguments):45} {statistics.median(seconds):6.2f} s "
        f"(of {runs}: {min(seconds):.2f} to {max(seconds):.2f}), peak {peak:.0f} MiB, "
        f"torch {'IMPORTED' if imports_torch(command) else 'not imported'}"
    )


def imports_torch(command: list[str]) -> bool:
    """Return whether a command's process imports torch."""
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return any(line.rpartition("|")[2].strip() == "torch" for line in done.stderr.splitlines())


if __name__ == "__main__":
    main()
