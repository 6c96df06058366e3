"""The process of a worker on a Ray cluster."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from taskbank.errors import InputError, TaskbankError, UnreachableError
from taskbank.version import __version__
from taskbank.workers.job import Finished, Job, Result, run_job_apart

if TYPE_CHECKING:
    from taskbank.workers.worker import Worker


LOOK = 2.0  # seconds between looks at whether Ray is still there


class RayWorker:
    """Takes jobs, one after the other, and keeps the bank open and the backbone loaded.

    Args:
        bank: the bank's URL.
        threads: number of threads to compute on.
        version: the version of taskbank that the jobs come from.
    """

    def __init__(self, bank: str, threads: int, version: str) -> None:
        self._given = bank, threads
        self._version = version
        self._worker: Worker | None = None

    def check(self) -> None:
        """Raise unless this process can run the jobs; from now on it ends with Ray's own process.

        Raises:
            InputError: if another version of taskbank is installed here.
        """
        # Ray lets an actor whose raylet was killed live on, with the encoder in its memory.
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        if self._version != __version__:
            raise InputError(
                f"the cluster has taskbank {__version__}, and this machine {self._version}: "
                "install the same version"
            )

    def run(self, job: Job[Result], index: int, pause: float) -> Finished[Result]:
        """Run a job, and return what became of it.

        Args:
            job: the job.
            index: its position.
            pause: seconds to wait before, because an earlier try failed.
        """
        time.sleep(pause)
        try:
            worker = self._open()
        except TaskbankError as error:
            # The command has reached the bank by the same URL: the server is away.
            away = error.__cause__
            return Finished(index, error=away if isinstance(away, UnreachableError) else error)
        except Exception as error:
            return Finished(index, error=TaskbankError(f"{type(error).__name__}: {error}"))
        return run_job_apart(job, index, worker)

    def _open(self) -> Worker:
        """Return the worker; what it needs is imported and opened with the first job."""
        if self._worker is None:
            from taskbank.runtime import startup

            startup.claim_process()
            startup.import_libraries()
            import torch

            from taskbank.bank.open import open_bank
            from taskbank.workers.worker import Worker

            url, threads = self._given
            torch.set_num_threads(threads)
            self._worker = Worker(open_bank(url))
        return self._worker


def _end_with(parent: int) -> None:
    """End this process once its parent has ended; what it was doing is not recorded."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)
