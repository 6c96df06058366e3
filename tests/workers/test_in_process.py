"""Jobs in this process."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import DataError, InputError
from taskbank.workers.in_process import InProcess
from taskbank.workers.worker import Worker
from tests.helpers.jobs import Break, Job, Refuse


def test_jobs_run_in_order_and_each_to_its_end(own: Bank) -> None:
    """A job that fails does not stop the others, and a defect is raised as it was."""
    jobs = [Job(1), Refuse(2), Break(3), Job(4)]
    found = list(InProcess(Worker(own)).run(jobs, caption="", unit="job", progress=False))
    assert [one.index for one in found] == [0, 1, 2, 3]
    assert [found[0].get(), found[3].get()] == [1, 4]
    with pytest.raises(DataError, match="row 2"):
        found[1].get()
    with pytest.raises(ZeroDivisionError):
        found[2].get()


def test_a_job_runs_when_its_result_is_asked_for(own: Bank) -> None:
    """Whoever stops asking, as after a failure, stops the rest."""
    ran: list[int] = []

    class Noted(Job):
        def run(self, worker: Worker) -> int:
            ran.append(self.number)
            return super().run(worker)

    results = InProcess(Worker(own)).run(
        [Noted(1), Noted(2)], caption="", unit="job", progress=False
    )
    assert next(results).get() == 1
    assert ran == [1]


def test_an_unknown_device_is_refused(own: Bank) -> None:
    """Before a job starts."""
    with pytest.raises(InputError, match="device 'quantum' is unknown"):
        InProcess(Worker(own)).pick_device("quantum")
