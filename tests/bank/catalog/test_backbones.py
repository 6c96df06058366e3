"""The backbones that a bank knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import BackboneMismatchError
from taskbank.verify.verify import verify_all
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


def test_the_settings_of_a_tokenizer_are_recorded_once_and_compared(bank: Bank) -> None:
    """A bank that does not know them learns them; from then on others are refused."""
    known = identity()
    bank.add_backbone(replace(known, settings=None))
    assert bank.backbones()[0].identity.settings is None
    bank.add_backbone(known)
    bank.add_backbone(known)
    bank.add_backbone(replace(known, settings=None))
    assert [record.identity for record in bank.backbones()] == [known]
    other = replace(known, settings={**known.settings, "truncation_side": "left"})
    with pytest.raises(
        BackboneMismatchError, match="truncation_side is 'left', recorded was 'right'"
    ):
        bank.put(new_adapter(backbone=other))
    assert len(bank) == 0
    # A setting that only one version of taskbank knows is not compared.
    bank.add_backbone(replace(known, settings={**known.settings, "later": 1}))
    bank.put(new_adapter())
    assert verify_all(bank, level="integrity").findings == ()
