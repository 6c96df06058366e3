"""Hands jobs to the workers of a Ray cluster until all of them have ended.

A job whose worker dies goes to another worker, a few times at most, as it may be what kills them. A
job that cannot reach a server is not to blame: it is tried again until the server was away for too
long. That nothing is in the bank twice is up to the jobs and the bank.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic

from taskbank.bank.patience import LONGEST_WAIT
from taskbank.bank.patience import PATIENCE as OUTAGE
from taskbank.errors import InputError, ResourceError, UnreachableError
from taskbank.workers.job import Finished, Job, Result

if TYPE_CHECKING:
    from taskbank.workers.ray_cluster import RayCluster

TRIES = 3  # times that a job is started if its worker dies
PATIENCE = 30.0  # seconds without a worker after which the user hears what is waited for


class RayDispatch(Generic[Result]):
    """Which worker has which job, and which jobs wait.

    Args:
        cluster: the workers.
        jobs: the jobs.
    """

    def __init__(self, cluster: RayCluster, jobs: Sequence[Job[Result]]) -> None:
        self._cluster, self._jobs = cluster, jobs
        self._waiting = deque(range(len(jobs)))
        self._tries: Counter[int] = Counter()
        self._unreached: Counter[int] = Counter()  # tries that could not reach a server
        self._parts: dict[int, Result] = {}  # what a try had done before it lost the server
        self._lost: dict[int, float] = {}  # when a job could not reach a server for the first time
        self._away: float | None = None  # since when no job has reached the server
        # By the reference of what will be returned. A worker that starts has no job yet.
        self._running: dict[Any, tuple[Any, int | None]] = {}
        self._failed_starts = 0  # one after the other

    def run(self) -> Iterator[Finished[Result]]:
        """Yield each job as soon as it has ended.

        Raises:
            UnreachableError: if the cluster was lost.
            ResourceError: if no worker starts.
        """
        cluster = self._cluster
        for _ in range(min(cluster.workers, len(self._jobs)) - len(cluster.idle)):
            self._start()
        idle = [cluster.idle.pop() for _ in range(len(cluster.idle))]
        for actor in idle:
            self._assign(actor)
        left = len(self._jobs)
        try:
            while left:
                for reference in self._wait():
                    finished = self._take(reference)
                    if finished is not None:
                        left -= 1
                        yield finished
        finally:
            cluster.kill([actor for actor, _ in self._running.values()])  # after an interrupt

    def _start(self) -> None:
        actor, answer = self._cluster.start()
        self._running[answer] = (actor, None)

    def _assign(self, actor: Any) -> None:
        """Give a worker the next job; without one it stays idle."""
        if not self._waiting:
            self._cluster.idle.append(actor)
            return
        index = self._waiting.popleft()
        self._tries[index] += 1
        answer = actor.run.remote(self._jobs[index], index, self._pause(index))
        self._running[answer] = (actor, index)

    def _pause(self, index: int) -> float:
        """Return the seconds that a worker waits before it tries a job."""
        if self._away is not None and time.monotonic() - self._away >= OUTAGE:
            return 0.0  # the server was given up
        return min(math.expm1(self._unreached[index]), LONGEST_WAIT)  # 0, 1.7, 6.4, 15, 15, …

    def _wait(self) -> list[Any]:
        """Return the references of what has ended."""
        began, warned = time.monotonic(), False
        while True:
            ready = self._cluster.wait(list(self._running))
            if ready:
                return ready
            starting = all(index is None for _, index in self._running.values())
            if starting and not warned and time.monotonic() - began > PATIENCE:
                warnings.warn(
                    "no worker has started yet: the cluster may be busy with other work",
                    stacklevel=2,
                )
                warned = True

    def _take(self, reference: Any) -> Finished[Result] | None:
        """Give the worker something else to do, and return its job if that has ended."""
        actor, index = self._running.pop(reference)
        outcome = self._cluster.outcome(reference)
        finished = None if index is None else self._judge(index, outcome)
        if index is not None and finished is None:
            self._waiting.append(index)
        if not isinstance(outcome, Exception):
            if index is None:
                self._failed_starts = 0
            self._assign(actor)
            return finished
        if index is None:
            self._count_failed_start(outcome)
        if self._waiting and self._cluster.idle:
            self._assign(self._cluster.idle.pop())
        elif self._waiting:
            self._start()
        return finished

    def _judge(self, index: int, outcome: Any) -> Finished[Result] | None:
        """Return a job that has ended; None if it is to be run again."""
        if isinstance(outcome, Exception):
            problem = ResourceError(
                f"the worker that ran it ended unexpectedly, {TRIES} times: {_reason(outcome)}"
            )
            return None if self._tries[index] < TRIES else Finished(index, error=problem)
        finished: Finished[Result] = outcome
        if not isinstance(finished.error, UnreachableError):
            self._away = None
            return finished
        self._tries[index] -= 1
        self._unreached[index] += 1
        if finished.result is not None:
            self._parts[index] = finished.result
        if self._waits_for_server(index, finished.error):
            return None
        return replace(finished, result=self._parts.get(index))

    def _waits_for_server(self, index: int, error: UnreachableError) -> bool:
        """Return whether to try a job again that could not reach a server."""
        now = time.monotonic()
        if self._away is None:
            self._away = now
            warnings.warn(f"{error}; trying again for {OUTAGE:.0f} seconds", stacklevel=2)
        # Another job may have reached it in the meantime, or lost it before.
        return now - min(self._away, self._lost.setdefault(index, now)) < OUTAGE

    def _count_failed_start(self, error: Exception) -> None:
        """Raise if workers cannot start: if one after the other dies before it has run anything."""
        cause = getattr(error, "cause", None)
        if isinstance(cause, InputError):
            raise cause
        self._failed_starts += 1
        if self._failed_starts >= TRIES:
            raise ResourceError(f"no worker starts on the cluster: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Return why a worker died, from Ray's message of many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "exit detail" in line or "because" in line or "OOM" in line]
    return (told or lines or [type(error).__name__])[-1][:300]
