"""Measures jobs on a Ray cluster of this machine: speedup, overhead of a job, memory, start.

    python scripts/benchmarks/ray_speed.py [--backbone SPEC] [--tasks 20] [--rows 640] [--epochs 3]
        [--jobs 1000] [--rounds 3]

- A suite of made-up tasks is trained in one process with one thread, and by two workers of one
  thread: the ratio of their times without anything that happens once, which is starting Ray and
  the workers and importing torch, and of the times of the whole command `taskbank add-tasks`.
- Jobs that do nothing: milliseconds each, with two workers.
- The memory (PSS) of all processes of Ray while two workers hold the encoder and have nothing to
  do, and the seconds until the cluster and then the workers are ready.

Without `--backbone`, a tiny random one shows the overhead and not the speedup.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

from scripts.benchmarks.comparison import Run, median_and_range, ratios, run_rounds, values
from scripts.benchmarks.processes import run_measured, taskbank_command
from scripts.shared.arguments import script_parser
from scripts.shared.ray_cluster import cluster_processes, process_title, ray_cluster
from scripts.shared.small_suite import write_suite
from scripts.shared.tables import aligned
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.open import create_bank
from taskbank.pipeline.suite import TrainTask, plan_entry
from taskbank.pipeline.suite_file import valid_entries
from taskbank.specs import BackboneIdentity
from taskbank.workers.executor import executor_for
from taskbank.workers.job import Executor, Job
from taskbank.workers.worker import Worker
from tests.helpers.backbones import make_backbone
from tests.helpers.jobs import Job as NoWork

WORKERS = 2
SPEEDUP, OVERHEAD = 1.7, 20.0  # what is asked for: a ratio, and milliseconds a job


def main() -> None:
    """Measure, and print the table."""
    parser = script_parser(__doc__)
    parser.add_argument("--backbone", metavar="SPEC", help="encoder (default: a tiny random one)")
    parser.add_argument("--tasks", type=int, default=20, help="tasks of the suite")
    parser.add_argument("--rows", type=int, default=640, help="training examples of a task")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a training")
    parser.add_argument("--jobs", type=int, default=1000, help="jobs that do nothing")
    parser.add_argument("--rounds", type=int, default=3, help="times that each suite is trained")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        spec = arguments.backbone or str(make_backbone(folder / "backbone"))
        suite = write_suite(folder, arguments.tasks, rows=arguments.rows, epochs=arguments.epochs)
        commands = run_rounds(
            {
                place: partial(run_command, folder, spec, suite, options)
                for place, options in {"process": (), "ray": ("--on", "ray")}.items()
            },
            arguments.rounds,
            "the command",
        )
        backbone = load_backbone(spec)
        started = time.perf_counter()
        with ray_cluster(folder / "ray", WORKERS):
            rows = [("Ray is there after, s", f"{time.perf_counter() - started:.1f}", "")]
            trained = run_rounds(
                {
                    place: partial(run_suite, folder, suite, backbone, on)
                    for place, on in {"process": None, "ray": "ray"}.items()
                },
                arguments.rounds,
                "training",
            )
            ready = median_and_range(values(trained["ray"], "ready"), 1)
            rows += [("workers are ready after, s", ready, "")]
            rows += measure_at_rest(folder, backbone, arguments.jobs)
    rows += speedup("trainings alone", trained, bound=f"at least {SPEEDUP:g}")
    rows += speedup("whole command", commands)
    print(aligned([dict(zip(("", "measured", "bound"), row, strict=True)) for row in rows]))


@dataclass(frozen=True)
class GetReady:
    """Loads the backbone, and ends once every worker has: a job.

    Attributes:
        number: which of these jobs it is.
        of: how many there are, one for each worker.
        folder: an empty folder, in which the workers see how many are ready.
        backbone: the backbone to load.
    """

    number: int
    of: int
    folder: Path
    backbone: BackboneIdentity
    size: int = 1

    @property
    def name(self) -> str:
        """Its number."""
        return f"ready-{self.number}"

    def run(self, worker: Worker) -> None:
        """Load it, say so, and wait for the others."""
        worker.backbone(self.backbone, "cpu")
        (self.folder / self.name).touch()
        while len(list(self.folder.iterdir())) < self.of:
            time.sleep(0.01)


def run_command(folder: Path, spec: str, suite: Path, options: Sequence[str]) -> Run:
    """Add the suite to a new bank by the command line, and return its cost."""
    url = f"sqlite:///{tempfile.mkdtemp(dir=folder)}/bank.db"
    command = taskbank_command(
        url, "add-tasks", str(suite), "--backbone", spec, "--verify", "none", *options
    )
    return run_measured(command, threads=1)


def run_suite(folder: Path, suite: Path, backbone: Backbone, on: str | None) -> Run:
    """Train the suite, and return the seconds until every worker is ready, and those after that."""
    with create_bank(f"sqlite:///{tempfile.mkdtemp(dir=folder)}/bank.db") as bank:
        bank.add_backbone(backbone.identity)
        entries, _ = valid_entries(suite, folder)
        jobs = [
            TrainTask(
                plan_entry(entry, bank), backbone.identity, "cpu", new_version=False, progress=False
            )
            for entry in entries
        ]
        with executor_for(on, bank, device="cpu", backbone=backbone) as executor:
            ready = seconds(executor, get_ready(folder, backbone, 1 if on is None else WORKERS))
            return {"ready": ready, "seconds": seconds(executor, jobs)}


def get_ready(place: Path, backbone: Backbone, workers: int) -> list[GetReady]:
    """Return a job for each worker that is through when all have loaded the backbone."""
    folder = Path(tempfile.mkdtemp(dir=place))
    return [GetReady(number, workers, folder, backbone.identity) for number in range(workers)]


def seconds(executor: Executor, jobs: Sequence[Job[Any]]) -> float:
    """Run jobs that must succeed, and return how long it took."""
    started = time.perf_counter()
    for finished in executor.run(jobs, caption="", unit="job", progress=False):
        finished.get()
    return time.perf_counter() - started


def measure_at_rest(folder: Path, backbone: Backbone, jobs: int) -> list[tuple[str, str, str]]:
    """Return rows of the overhead of a job, and of the memory of workers that have run some."""
    with create_bank(f"sqlite:///{tempfile.mkdtemp(dir=folder)}/bank.db") as bank:
        bank.add_backbone(backbone.identity)
        with executor_for("ray", bank, device="cpu", backbone=backbone) as executor:
            seconds(executor, get_ready(folder, backbone, WORKERS))
            each = seconds(executor, [NoWork(number) for number in range(jobs)]) / jobs * 1000
            memory = memory_by_title()
    rows = [("a job that does nothing, ms", f"{each:.2f}", f"at most {OVERHEAD:g}")]
    rows += [("memory at rest, all processes, MiB", f"{sum(memory.values()) / 2**20:,.0f}", "")]
    return rows + [(f"  {title}", f"{size / 2**20:,.0f}", "") for title, size in memory.items()]


def memory_by_title() -> dict[str, int]:
    """Return the bytes (PSS) of the cluster's processes, by what they are, largest first."""
    found: Counter[str] = Counter()
    for process in cluster_processes():
        with suppress(psutil.Error):
            program, *parts = process_title(process).split()
            if Path(program).name.startswith("python"):
                program = next((part for part in parts if part.endswith(".py")), program)
            found[Path(program).name] += process.memory_full_info().pss
    return dict(found.most_common())


def speedup(
    what: str, runs: dict[str, list[Run]], bound: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield rows of the seconds of both sides, and of their ratio."""
    for place, own in runs.items():
        yield f"{what}, {place}, s", median_and_range(values(own, "seconds"), 1), ""
    yield f"{what}, ratio", median_and_range(ratios(runs["process"], runs["ray"])), bound


if __name__ == "__main__":
    main()
