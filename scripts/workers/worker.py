"""What every worker does: read a job, compute with so many threads, leave what it found.

Workers run in the environments of other libraries too, so there is nothing here but torch.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

Job = dict[str, Any]
Found = dict[str, Any]


def answer(work: Callable[[Job], Found]) -> None:
    """Do the job that the first argument names, and write to the second.

    Args:
        work: from a job to what was found; the peak of the process's memory, in MiB, is added.
    """
    job: Job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    # The first optimizer of a process imports a second's worth of modules: no part of any training.
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    found = work(job) | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def medians(calls: dict[str, Callable[[], Any]], times: int) -> dict[str, float]:
    """Return the median seconds of some calls, made in turn after one of each to warm up."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(times):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    return {name: median(those) for name, those in taken.items()}
