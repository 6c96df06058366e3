"""Interrupted verifications go on where they were."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.verification_log import VerificationLog
from taskbank.errors import BankError, InputError
from taskbank.model.predict import predict_examples
from taskbank.runtime import environment as environment_module
from taskbank.verify import observer
from taskbank.verify.verify import verify_all
from tests.helpers.processes import ended, start
from tests.helpers.tampering import nudge, replica


@pytest.mark.slow
def test_a_verification_that_was_interrupted_goes_on_where_it_was(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was predicted is not predicted again, what is said is the same, and the run that did
    not end is one until it did."""
    for name in ("second", "third"):
        mood.put(replica(mood, name, nudge))
    monkeypatch.setattr(observer, "WINDOW_EXAMPLES", 0)  # a task at a time
    whole = verify_all(mood)
    calls: list[int] = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:  # the second split of the second adapter
            raise KeyboardInterrupt
        return predict_examples(*arguments)

    monkeypatch.setattr(observer, "predict_examples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify_all(mood)
    (unfinished,) = mood.verification_log.unfinished_runs()
    assert (unfinished.level, unfinished.adapters) == ("full", 1)
    # Another question is no part of it.
    calls[:] = [1] * 9
    assert verify_all(mood, ["mood"], resume=True).ok
    calls[:] = [1] * 9
    report = verify_all(mood, resume=True)
    assert len(calls) == 9 + 2 * 2
    assert mood.verification_log.unfinished_runs() == ()
    assert report.tasks == whole.tasks
    assert verify_all(mood, resume=True).ok  # with nothing to resume it is a new one
    assert verify_all(mood, level="integrity").ok


def _verify_until_killed(url: str) -> None:
    calls: list[int] = []

    def predict(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return predict_examples(*given)

    patch = pytest.MonkeyPatch()
    patch.setattr(observer, "predict_examples", predict)
    patch.setattr(observer, "WINDOW_EXAMPLES", 0)  # a task at a time
    with Bank(url) as bank:
        verify_all(bank)


@pytest.mark.process
def test_a_verification_whose_process_was_killed_goes_on_too(
    mood: Bank, predicted: list[int]
) -> None:
    """What it predicted before it was killed is in the bank, and the bank is whole."""
    for name in ("second", "third"):
        mood.put(replica(mood, name, nudge))
    assert ended(start(_verify_until_killed, mood.url)) == -signal.SIGKILL
    assert mood.verification_log.unfinished_runs()[0].adapters == 1
    assert verify_all(mood, level="integrity").ok
    report = verify_all(mood, resume=True)
    assert [task.status for task in report.tasks] == ["ok", "changed", "changed"]
    assert sum(predicted) == 2 * 96
    assert mood.verification_log.unfinished_runs() == ()


@pytest.mark.slow
def test_what_an_interrupted_run_saw_under_other_circumstances_is_not_used(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that was upgraded in between calls for new predictions."""
    real = observer.Observer._compare

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(observer.Observer, "_compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify_all(mood)
    monkeypatch.setattr(observer.Observer, "_compare", real)
    assert mood.verification_log.unfinished_runs()[0].adapters == 1
    calls: list[int] = []

    def counted(*given: Any) -> Any:
        calls.append(1)
        return predict_examples(*given)

    monkeypatch.setattr(observer, "predict_examples", counted)
    monkeypatch.setattr(environment_module, "NUMERICS", -1)
    assert verify_all(mood, resume=True).ok
    assert calls == [1, 1]


@pytest.mark.slow
def test_what_was_observed_of_an_adapter_goes_with_it(mood: Bank) -> None:
    """Garbage collection takes the predictions of a retired adapter, its references included."""
    mood.put(replica(mood, "other", nudge))
    seen = verify_all(mood)
    mood.accept("other", seen.id, "it may")
    before = len(list(mood._blobs.sizes()))
    mood.remove("other@1")
    garbage = mood.gc(confirm=True)
    assert garbage.blobs == 3  # its weights, and what it predicted for two splits
    assert len(list(mood._blobs.sizes())) == before - 3
    assert verify_all(mood).ok


def test_what_cannot_be_recorded_is_no_damage(mood: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is locked while predictions are recorded is said, and nothing more."""

    def locked(*_given: Any) -> None:
        raise BankError("the database is locked")

    monkeypatch.setattr(VerificationLog, "observe", locked)
    report = verify_all(mood)
    assert (report.ok, report.tasks[0].status) == (True, "ok")
    assert report.unrecorded == "the database is locked"


def test_a_backbone_that_is_refused_leaves_no_run_behind(mood: Bank) -> None:
    """Only what began to predict is recorded, and the run that saw most is gone on with."""
    with pytest.raises(InputError):
        verify_all(mood, backbone="./nowhere")
    assert mood.verification_log.unfinished_runs() == ()
