"""A task with three versions."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.versions import version


@pytest.fixture
def versions(bank: Bank) -> Bank:
    """A bank whose task `mood` has versions that answer 36, 38 and 20 of 40 rightly."""
    for seed, right in enumerate((36, 38, 20)):
        bank.put(version(right, seed=seed), new_version=True)
    return bank
