"""What a verification keeps of each adapter."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.verify.integrity import check_integrity
from taskbank.verify.subject import Subject
from tests.helpers.adapters import new_adapter, new_scored_split


def test_the_integrity_check_says_of_adapters_what_their_records_say(bank: Bank) -> None:
    """Of intact adapters in use, with their further splits, and in the order of their rows."""
    bank.put(new_adapter("one"))
    bank.put(new_adapter("gone", seed=1))
    bank.remove("gone@1")
    bank.put(new_adapter("two", seed=2))
    bank.put_split("one", new_scored_split())
    expected = tuple(Subject.of(record) for record in bank.adapters())
    assert [subject.ref for subject in expected] == ["one@1", "two@1"]
    assert expected[0].rows > expected[1].rows
    assert check_integrity(bank).subjects == expected
    assert check_integrity(bank, [("two", 1)]).subjects == expected[1:]
