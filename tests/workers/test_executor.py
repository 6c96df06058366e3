"""Where jobs run by default, and what is said of places that there are not."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import DataError, InputError, MissingExtraError
from taskbank.workers.executor import executor_for, run_one
from tests.helpers.jobs import Count, Refuse


def test_jobs_run_in_this_process_by_default(own: Bank) -> None:
    """With the bank that is open; the error of a single job is raised."""
    with executor_for(None, own) as executor:
        assert executor.in_process
        assert run_one(executor, Count()) == 0
        with pytest.raises(DataError):
            run_one(executor, Refuse())


def test_a_place_that_there_is_not_is_refused(own: Bank) -> None:
    """Before Ray is imported."""
    with pytest.raises(InputError, match="no place to run jobs"), executor_for("dask", own):
        pass


def test_a_missing_ray_is_named(own: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the extra to install."""
    monkeypatch.setattr("taskbank.workers.executor.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"taskbank\[ray\]"), executor_for("ray", own):
        pass
