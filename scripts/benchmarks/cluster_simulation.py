"""Simulates commands on clusters that are larger than this machine, from costs measured on it.

    python scripts/benchmarks/cluster_simulation.py [--dispatch MS] [--commit MS] [--start SECONDS]

A driver hands jobs to workers, one at a time; a worker takes one job after the other. A job's time
is lognormal. Some workers are slow all the time. Workers die at random: the job that one ran is run
again, and the worker is back after a while. A finished job commits. Entries of the chain follow
each other, so the catalog takes one at a time; what a verification observes is no entry, and is
written on all processors of the database server.

The table gives, for each kind of work and number of workers, the time and how it compares with the
work divided by the workers, how busy the driver and the catalog are, and how many jobs were run
again. What is busiest is what breaks first. Costs are arguments: docs/measured/scale.md says where
the defaults were measured.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from scripts.shared.tables import markdown

SLOW_SHARE, SLOWNESS = 0.02, 4.0  # workers that take several times as long, and how many times
PROCESSORS = 16  # of the database server
LIFE = 24 * 3600.0  # mean seconds until a worker dies
SPREAD = 0.5  # standard deviation of the logarithm of a job's time
WORKERS = (10, 1_000)


@dataclass(frozen=True)
class Work:
    """Jobs of one kind.

    Attributes:
        name: what they do.
        jobs: how many there are.
        seconds: mean time of one.
        entries: commits of one that add an entry to the chain.
        writes: its other commits.
    """

    name: str
    jobs: int
    seconds: float
    entries: int
    writes: int = 0


@dataclass(frozen=True)
class Costs:
    """What was measured.

    Attributes:
        dispatch: seconds of the driver for a job.
        commit: seconds of the catalog for a commit.
        start: seconds until a worker that died takes jobs again.
    """

    dispatch: float
    commit: float
    start: float


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        seconds: the time until the last commit.
        share: the work divided by the workers, as a share of that time.
        driver: share of the time for which the driver was busy.
        catalog: share of the time for which the catalog was busy.
        repeated: number of jobs that were run again.
    """

    seconds: float
    share: float
    driver: float
    catalog: float
    repeated: int


# A trial of 300 rows in 30 s; 128 tasks of 8 texts in 59 ms each; 4 tasks of 1,000 texts. A
# verification commits after each window of up to 32 tasks.
WORKS = (
    Work("5,000 tasks, 50 trials each", 250_000, 30.0, 1),
    Work("full verification of 10^5 adapters, 8 texts each", 782, 7.6, 0, 4),
    Work("full verification of 10^5 adapters, 1,000 texts each", 25_000, 28.0, 0, 4),
    Work("full verification of 10^7 adapters, 8 texts each", 78_125, 7.6, 0, 4),
)


def simulate(work: Work, workers: int, costs: Costs, seed: int = 0) -> Outcome:
    """Return what becomes of some work on a cluster.

    Args:
        work: the work.
        workers: number of workers.
        costs: what was measured.
        seed: of the random numbers.
    """
    generator = np.random.default_rng(seed)
    mean = math.log(work.seconds) - SPREAD**2 / 2
    times = generator.lognormal(mean, SPREAD, work.jobs)
    slowness = np.where(generator.random(workers) < SLOW_SHARE, SLOWNESS, 1.0)
    deaths = generator.exponential(LIFE, workers)
    waiting = deque(range(work.jobs))
    # Events: when, a number that makes the order certain, the worker, and the job that it has done.
    events: list[tuple[float, int, int, int | None]] = [
        (0.0, number, number, None) for number in range(workers)
    ]
    number, repeated = workers, 0
    driver_free = driver_busy = catalog_free = catalog_busy = now = 0.0
    while events:
        now, _, worker, done = heapq.heappop(events)
        if done is not None:
            commit = costs.commit * (work.entries + work.writes / PROCESSORS)
            catalog_free = max(now, catalog_free) + commit
            catalog_busy += commit
            heapq.heappush(events, (catalog_free, number, worker, None))
            number += 1
            continue
        if not waiting:
            continue
        job = waiting.popleft()
        driver_free = max(now, driver_free) + costs.dispatch
        driver_busy += costs.dispatch
        end = driver_free + times[job] * slowness[worker]
        if deaths[worker] < end:
            waiting.append(job)
            repeated += 1
            back = max(float(deaths[worker]), driver_free) + costs.start
            deaths[worker] = back + generator.exponential(LIFE)
            heapq.heappush(events, (back, number, worker, None))
        else:
            heapq.heappush(events, (end, number, worker, job))
        number += 1
    ideal = float(times.sum()) / workers
    return Outcome(now, ideal / now, driver_busy / now, catalog_busy / now, repeated)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dispatch", type=float, default=3.0, help="ms of the driver for a job")
    parser.add_argument("--commit", type=float, default=10.0, help="ms of the catalog for a commit")
    parser.add_argument("--start", type=float, default=15.0, help="s until a worker is back")
    given = parser.parse_args()
    costs = Costs(given.dispatch / 1000, given.commit / 1000, given.start)
    lines = [["work", "workers", "hours", "of the ideal", "driver", "catalog", "run again"]]
    for work in WORKS:
        for workers in WORKERS:
            found = simulate(work, workers, costs)
            lines.append(
                [
                    work.name,
                    f"{workers:,}",
                    f"{found.seconds / 3600:,.2f}",
                    f"{found.share:.0%}",
                    f"{found.driver:.0%}",
                    f"{found.catalog:.0%}",
                    f"{found.repeated:,}",
                ]
            )
    print(markdown(lines))


if __name__ == "__main__":
    main()
