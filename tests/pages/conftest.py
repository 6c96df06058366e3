"""Banks that have something of everything that pages show."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.adapters import identity
from tests.helpers.demo_bank import fill_demo


@pytest.fixture(scope="module")
def demo(shared_bank: Bank) -> Bank:
    """A filled bank on SQLite and on PostgreSQL in turn; never write to it."""
    fill_demo(shared_bank, identity())
    return shared_bank
