"""The events of tasks and of a bank."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import NotFoundError
from taskbank.history.events import bank_events, task_events
from tests.helpers.adapters import new_adapter, record_finding


def test_everything_that_happened_to_a_task_is_told_in_order(bank: Bank) -> None:
    """Versions, aliases, verifications, what was accepted and why, tolerances, retirement."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("other", seed=1))
    number = record_finding(bank)
    bank.alias("mood@1", "production")
    bank.drop_alias("mood", "production")
    bank.set_tolerance("mood", None)
    bank.put(new_adapter("mood", seed=2), new_version=True)
    bank.remove("mood@1")
    found = task_events(bank, "mood")
    assert [event.at for event in found] == sorted(event.at for event in found)
    assert [event.what for event in found] == [
        "added",
        "verified",
        "accepted",
        "tolerance",
        "alias",
        "alias",
        "tolerance",
        "added",
    ]
    by_what = {event.what: event for event in reversed(found)}
    assert by_what["verified"].verification == by_what["accepted"].verification == number
    assert by_what["accepted"].result == "a test wants it"
    assert "now retired" in by_what["added"].result
    with pytest.raises(NotFoundError):
        task_events(bank, "nothing")


def test_the_events_of_a_bank_are_its_adapters_and_verifications(bank: Bank) -> None:
    """Each verification says what it found; one that did not end says how to go on."""
    bank.put(new_adapter("mood"))
    record_finding(bank)
    bank.verification_log.start_run("full", [], {})
    found = bank_events(bank)
    assert [event.what for event in found] == ["added", "verified", "interrupted"]
    assert found[1].result == "1 checked, 1 changed, problems found"
    assert "0 adapters observed" in found[2].result
