"""What verifications leave in a bank, and what is accepted of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from taskbank.bank.bank import Bank
from taskbank.errors import ConflictError, InputError, NotFoundError
from taskbank.model.predict import predict_examples
from taskbank.runtime import environment as environment_module
from taskbank.verify import observer
from taskbank.verify.verify import verify_all
from tests.helpers.tampering import nudge, replica


@pytest.mark.slow
def test_what_is_accepted_is_the_reference_and_the_old_one_is_kept(mood: Bank) -> None:
    """A changed task is `ok` once what it predicts was accepted; the reason and what it predicted
    before stay in the bank."""
    mood.put(replica(mood, "other", nudge))
    before = mood["other"]
    seen = verify_all(mood, ["other"])
    assert seen.tasks[0].status == "changed"
    after = mood.accept("other", seen.id, " the new library is right ")
    assert [one.predictions for one in after.splits] == [one.predictions for one in before.splits]
    assert [one.accepted for one in after.splits] == [seen.id, seen.id]
    assert mood.blob(before.splits[0].predictions) is not None
    report = verify_all(mood, ["other"])
    assert (report.tasks[0].status, report.tasks[0].shift) == ("ok", 0.0)
    assert verify_all(mood, ["other"], level="changed").confirmed == 1
    assert verify_all(mood, level="integrity").ok
    with mood._engine.connect() as connection:
        reasons = connection.exec_driver_sql("SELECT reason FROM acceptances").scalars().all()
    assert reasons == ["the new library is right"] * 2


@pytest.mark.slow
def test_what_cannot_be_accepted(mood: Bank) -> None:
    """A verification that did not see it, that is not there, or saw nothing new; no reason."""
    mood.put(replica(mood, "other", nudge))
    only = verify_all(mood, ["mood"])
    both = verify_all(mood)
    quick = verify_all(mood, level="integrity")
    for number in (only.id, quick.id):
        with pytest.raises(NotFoundError, match="did not predict every split of other@1"):
            mood.accept("other", number, "why not")
    with pytest.raises(NotFoundError, match="no verification 999"):
        mood.accept("other", 999, "why not")
    with pytest.raises(ConflictError, match="nothing to accept"):
        mood.accept("mood", both.id, "why not")
    with pytest.raises(InputError, match="reason is empty"):
        mood.accept("other", both.id, "  ")
    mood.remove("other@1")
    with pytest.raises(ConflictError, match="retired"):
        mood.accept("other@1", both.id, "why not")


@pytest.mark.slow
def test_what_is_accepted_is_what_that_verification_saw(
    mood: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that went on under other circumstances and back has two predictions of an adapter;
    those that the verification showed are accepted."""
    mood.put(replica(mood, "other", nudge))
    monkeypatch.setattr(observer, "WINDOW_EXAMPLES", 0)  # a task at a time
    compared = observer.Observer._compare
    shift = [0.0]
    monkeypatch.setattr(
        observer, "predict_examples", lambda *given: predict_examples(*given) + np.float32(shift[0])
    )

    for numerics, by in ((1, 0.0), (2, 0.5)):
        monkeypatch.setattr(environment_module, "NUMERICS", numerics)
        shift[0] = by
        calls: list[int] = []

        def once(self: Any, record: Any, observed: Any, calls: list[int] = calls) -> Any:
            calls.append(1)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return compared(self, record, observed)

        monkeypatch.setattr(observer.Observer, "_compare", once)
        with pytest.raises(KeyboardInterrupt):
            verify_all(mood, ["other", "mood"], resume=True)
    monkeypatch.setattr(observer.Observer, "_compare", compared)
    monkeypatch.setattr(environment_module, "NUMERICS", 1)
    shift[0] = 0.0
    report = verify_all(mood, ["other", "mood"], resume=True)
    accepted = mood.accept("other", report.id, "as it was shown")
    seen = (
        mood.reference(accepted, "test") - load(mood.blob(accepted.splits[1].predictions))["logits"]
    )
    assert np.abs(seen).max() == pytest.approx(report.tasks[1].shift, abs=1e-6)
