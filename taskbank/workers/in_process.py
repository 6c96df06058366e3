"""Runs jobs one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taskbank.runtime.device import pick_device
from taskbank.workers.job import Finished, Job, Result, job_bar, run_job
from taskbank.workers.worker import Worker


class InProcess:
    """Runs jobs one after the other in this process.

    Args:
        worker: the open bank, and the backbone if it is loaded already.
    """

    in_process = True

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def pick_device(self, name: str | None) -> str:
        """Return the device that jobs compute on; see `Executor.pick_device`."""
        return pick_device(name)

    def run(
        self, jobs: Sequence[Job[Result]], *, caption: str, unit: str, progress: bool
    ) -> Iterator[Finished[Result]]:
        """Run jobs in order; see `Executor.run`."""
        with job_bar(jobs, caption=caption, unit=unit, progress=progress) as bar:
            self._worker.advance = bar.update
            for index, job in enumerate(jobs):
                yield run_job(job, index, self._worker)
