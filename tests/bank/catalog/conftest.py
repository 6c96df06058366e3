"""A bank with a row in every table."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter, new_trial, record_finding


@pytest.fixture
def filled(bank: Bank) -> Bank:
    """A bank with at least one row in every table."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    bank.alias("mood@2", "production")
    bank.remove("mood@1")
    bank.put_trial(new_trial(seed=9))
    verify_all(bank, level="integrity")
    record_finding(bank)
    return bank
