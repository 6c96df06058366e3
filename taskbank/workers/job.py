"""Jobs, and what becomes of them."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar, cast

from tqdm import tqdm

from taskbank.errors import ResourceError, TaskbankError
from taskbank.runtime.resources import resource_error

if TYPE_CHECKING:
    from taskbank.workers.worker import Worker

Result = TypeVar("Result")
Given = TypeVar("Given", covariant=True)


class PartlyDone(Exception):
    """Raised by a job that ended early, with what it had done until then.

    Args:
        error: the failure of a server, a store, memory or a disk that ended it.
        result: what the job would have returned, as far as it came.
    """

    def __init__(self, error: ResourceError, result: object) -> None:
        super().__init__(error, result)
        self.error, self.result = error, result


class Job(Protocol[Given]):
    """A part of a command's work that needs no other part: plain data that can be pickled.

    A job may be run again if the process that ran it died, so it must leave nothing in the bank
    twice.
    """

    @property
    def name(self) -> str:
        """What the job works on, for messages, such as `sst2`."""

    @property
    def size(self) -> int:
        """Number of steps that the progress bar counts for it; see `Worker.advance`."""

    def run(self, worker: Worker) -> Given:
        """Do the work, and return its result.

        Args:
            worker: the process that runs the job, with the bank and the backbone.

        Raises:
            UnreachableError: if a server is away; a cluster then runs the job again.
            PartlyDone: if it ended early, and a part of its result is of use.
        """


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """A job that has ended.

    Attributes:
        index: the job's position in the sequence that was given.
        result: what it returned; of a job that failed the part that it had done, if there is any.
        error: why it failed; None if it did not.
        traceback: the traceback of an error that nobody expected; else empty.
        warnings: the warnings of a job that ran in another process, with their categories.
    """

    index: int
    result: Result | None = None
    error: Exception | None = None
    traceback: str = ""
    warnings: tuple[tuple[type[Warning], str], ...] = ()

    def get(self) -> Result:
        """Return what the job returned.

        Raises:
            TaskbankError: if it failed; in this process, a defect is raised as it is.
        """
        if self.error is None:
            return cast(Result, self.result)
        if isinstance(self.error, TaskbankError) and self.traceback:
            print(self.traceback, file=sys.stderr)  # of another process
        raise self.error

    @property
    def problem(self) -> str:
        """Why the job failed, in one line."""
        if isinstance(self.error, TaskbankError):
            return str(self.error)
        return _describe(self.error)

    def tell(self, job: Job[Result]) -> None:
        """Show the job's warnings, if there are any.

        Args:
            job: the job.
        """
        for category, text in self.warnings:
            warnings.warn(f"{job.name}: {text}", category, stacklevel=2)


class Executor(Protocol):
    """Runs jobs somewhere."""

    @property
    def in_process(self) -> bool:
        """Whether jobs run in this process, so that they can show their own progress."""

    def pick_device(self, name: str | None) -> str:
        """Return the device that jobs compute on.

        Args:
            name: the device that was asked for; None means the best one that workers have.

        Raises:
            InputError: if there is no such device.
        """

    def run(
        self, jobs: Sequence[Job[Result]], *, caption: str, unit: str, progress: bool
    ) -> Iterator[Finished[Result]]:
        """Run jobs, and yield each as soon as it has ended, in any order.

        Args:
            jobs: the jobs.
            caption: what the jobs do, for the progress bar, such as `verifying`.
            unit: what the progress bar counts, such as `adapter`.
            progress: whether to show a progress bar if stderr is a terminal.
        """


def job_bar(
    jobs: Sequence[Job[Result]], *, caption: str, unit: str, progress: bool
) -> tqdm[NoReturn]:
    """Return the progress bar of an executor; see `Executor.run`."""
    return tqdm(
        total=sum(job.size for job in jobs),
        desc=caption,
        unit=unit,
        disable=None if progress else True,
    )


def run_job(job: Job[Result], index: int, worker: Worker) -> Finished[Result]:
    """Run a job, and return what became of it; only an interrupt is raised.

    Args:
        job: the job.
        index: its position.
        worker: the process that runs it.
    """
    try:
        return Finished(index, job.run(worker))
    except PartlyDone as part:
        return Finished(index, cast(Result, part.result), part.error)
    except TaskbankError as error:
        return Finished(index, error=error)
    except Exception as error:  # no memory, a full disk, a defect: other jobs may succeed
        known = resource_error(error)
        if known is not None:
            return Finished(index, error=known)
        return Finished(index, error=error, traceback=traceback.format_exc())


def run_job_apart(job: Job[Result], index: int, worker: Worker) -> Finished[Result]:
    """Run a job in a process whose error stream nobody reads, and return its warnings, too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        finished = run_job(job, index, worker)
    error = finished.error
    if error is not None and not isinstance(error, TaskbankError):
        error = TaskbankError(_describe(error))  # which any process can read
    said = dict.fromkeys((one.category, str(one.message)) for one in caught)
    return replace(finished, error=error, warnings=tuple(said))


def _describe(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}"
