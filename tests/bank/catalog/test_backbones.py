"""The backbones that a bank knows."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from tests.helpers.adapters import identity, new_adapter


def test_a_bank_holds_several_backbones_and_each_adapter_belongs_to_one(bank: Bank) -> None:
    """The same backbone is recorded once, another one beside it."""
    bank.put(new_adapter("one"))
    bank.put(new_adapter("two", seed=1))
    bank.put(new_adapter("three", seed=2, backbone=identity("other")))
    assert len(bank.backbones()) == 2
    other = identity("other").fingerprint
    assert [r.task for r in bank.adapters(backbone=other)] == ["three"]
    assert [r.task for r in bank.adapters(newest=2)] == ["two", "three"]
    assert [r.task for r in bank.adapters(task="two", method="houlsby", kind="single")] == ["two"]
