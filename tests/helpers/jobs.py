"""Jobs for tests of what runs them, and what runs them in another order."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskbank.data.remarks import Remark
from taskbank.errors import DataError, UnreachableError
from taskbank.serve.predict_rows import PredictRows
from taskbank.serve.prediction import Prediction
from taskbank.workers.in_process import InProcess
from taskbank.workers.job import Executor, Finished, Result
from taskbank.workers.job import Job as AnyJob
from taskbank.workers.worker import Worker


@dataclass(frozen=True)
class Job:
    """A job of one step that returns its number."""

    number: int = 0
    size: int = 1

    @property
    def name(self) -> str:
        """The kind of job and its number."""
        return f"{type(self).__name__.lower()}-{self.number}"

    def run(self, worker: Worker) -> int:
        """Return the number."""
        worker.advance(1)
        return self.number


@dataclass(frozen=True)
class Count(Job):
    """Counts what the bank of the worker has."""

    def run(self, worker: Worker) -> int:
        """Return the number of adapters."""
        return len(worker.bank)


@dataclass(frozen=True)
class Say(Job):
    """Warns, twice the same, and remarks something."""

    def run(self, _worker: Worker) -> int:
        """Return the number after the warnings."""
        for _ in range(2):
            warnings.warn("something is odd", stacklevel=2)
        warnings.warn("something is worth a remark", Remark, stacklevel=2)
        return self.number


@dataclass(frozen=True)
class Refuse(Job):
    """Fails on purpose."""

    def run(self, _worker: Worker) -> int:
        """Raise an error for the user."""
        raise DataError(f"row {self.number} has no text")


@dataclass(frozen=True)
class Break(Job):
    """Fails by a defect."""

    def run(self, _worker: Worker) -> int:
        """Raise an error that nobody expects."""
        raise ZeroDivisionError("a defect")


@dataclass(frozen=True)
class Run(Job):
    """Leaves a line in a file each time that it runs, and then does what its kind does.

    Attributes:
        place: the file.
    """

    place: Path = Path()

    def times(self) -> int:
        """Leave a line, and return how many there are."""
        with self.place.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return len(self.place.read_text().splitlines())


@dataclass(frozen=True)
class Die(Run):
    """Ends its process without a word, the first few times.

    Attributes:
        deaths: how often.
    """

    deaths: int = 1

    def run(self, _worker: Worker) -> int:
        """Return how often it ran, unless it dies."""
        times = self.times()
        if times <= self.deaths:
            os._exit(1)
        return times


@dataclass(frozen=True)
class Lose(Run):
    """Cannot reach a server, the first time."""

    def run(self, _worker: Worker) -> int:
        """Return how often it ran, unless it is the first time."""
        times = self.times()
        if times == 1:
            raise UnreachableError("the server is away")
        return times


@dataclass(frozen=True)
class Sleep(Run):
    """Takes a minute."""

    def run(self, _worker: Worker) -> int:
        """Say that it runs, and sleep."""
        times = self.times()
        time.sleep(60)
        return times


class Backwards(InProcess):
    """Workers elsewhere, in fact here, that finish their jobs in the opposite order."""

    in_process = False

    def run(
        self, jobs: Sequence[AnyJob[Result]], *, caption: str, unit: str, progress: bool
    ) -> Iterator[Finished[Result]]:
        """Yield the last job first."""
        done = super().run(jobs, caption=caption, unit=unit, progress=progress)
        return reversed(list(done))


@dataclass(frozen=True)
class DieOnce(PredictRows):
    """Ends its process the first time, if it is the job of certain rows.

    Attributes:
        dies_at: position of the first of these rows.
        mark: the file that it leaves.
    """

    dies_at: int = 0
    mark: Path = Path()

    def run(self, worker: Worker) -> list[list[Prediction]]:
        """Predict, unless it dies."""
        if self.first == self.dies_at and not self.mark.exists():
            self.mark.touch()
            os._exit(1)
        return super().run(worker)


def results(executor: Executor, jobs: Sequence[AnyJob[Result]]) -> list[Result]:
    """Return what jobs returned, in their order."""
    found = executor.run(jobs, caption="", unit="job", progress=False)
    return [one.get() for one in sorted(found, key=lambda one: one.index)]
