"""The protocol of a worker: read a job, compute its figures, write them.

Workers also run in the environments of the peers, so this module imports nothing but torch, and
that only where a worker needs it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

Job = dict[str, Any]
Run = dict[str, Any]  # the figures of one run, by name


def answer(work: Callable[[Job], Run]) -> None:
    """Do the job in the file named first on the command line; write the figures to the second.

    Args:
        work: computes the figures of a job; the process's peak memory in MiB is added.
    """
    job: Job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    figures = work(job) | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    Path(sys.argv[2]).write_text(json.dumps(figures), encoding="utf-8")


def answer_with_torch(work: Callable[[Job], Run]) -> None:
    """Do a job as `answer` does, with torch limited to the job's number of threads."""
    import torch

    def prepared(job: Job) -> Run:
        torch.set_num_threads(job["threads"])
        # The first optimizer imports a second's worth of modules: keep that out of any timing.
        torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
        return work(job)

    answer(prepared)


def answer_part(parts: Mapping[str, Callable[[Job], Run]]) -> None:
    """Do the part of the benchmark that the job names under `part`.

    Args:
        parts: the worker's parts by name.
    """
    answer_with_torch(lambda job: parts[job["part"]](job))


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def repeated(operation: Callable[[int], Any], runs: int) -> list[float]:
    """Return the milliseconds of each repetition of an operation, after an untimed warm-up.

    Args:
        operation: takes the number of the repetition; the warm-up's is 0.
        runs: number of timed repetitions.
    """
    operation(0)
    return [1000 * seconds(partial(operation, number)) for number in range(1, runs + 1)]


def medians(calls: Mapping[str, Callable[[], Any]], times: int) -> dict[str, float]:
    """Return the median seconds of each call, made in alternation after a warm-up of each."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(times):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    return {name: median(times_of_call) for name, times_of_call in taken.items()}
