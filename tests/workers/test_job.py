"""What becomes of a job, whatever it does."""

from __future__ import annotations

import warnings

import pytest

from taskbank.bank.bank import Bank
from taskbank.data.remarks import Remark
from taskbank.errors import DataError, TaskbankError
from taskbank.workers.job import run_job, run_job_apart
from taskbank.workers.worker import Worker
from tests.helpers.jobs import Break, Job, Refuse, Say


def test_errors_of_a_job_are_kept(own: Bank) -> None:
    """One for the user as it is, and a defect with its traceback, in this process as it was."""
    worker = Worker(own)
    assert run_job(Job(7), 3, worker).get() == 7
    refused = run_job(Refuse(2), 0, worker)
    assert (refused.index, refused.traceback) == (0, "")
    with pytest.raises(DataError, match="row 2 has no text"):
        refused.get()
    broken = run_job(Break(), 0, worker)
    assert "in run\n" in broken.traceback
    assert broken.problem == "ZeroDivisionError: a defect"
    with pytest.raises(ZeroDivisionError):
        broken.get()


def test_a_defect_of_another_process_is_an_error_with_its_traceback(
    own: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it was is in the message, as its type may not be known here."""
    finished = run_job_apart(Break(1), 0, Worker(own))
    assert finished.problem == "ZeroDivisionError: a defect"
    with pytest.raises(TaskbankError, match="ZeroDivisionError: a defect"):
        finished.get()
    assert capsys.readouterr().err.startswith("Traceback")


def test_warnings_of_another_process_are_shown_here(own: Bank) -> None:
    """Each once, with the job's name and its category, so that --quiet still hides remarks."""
    finished = run_job_apart(Say(5), 0, Worker(own))
    assert finished.result == 5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        finished.tell(Say(5))
    assert [(one.category, str(one.message)) for one in caught] == [
        (UserWarning, "say-5: something is odd"),
        (Remark, "say-5: something is worth a remark"),
    ]
