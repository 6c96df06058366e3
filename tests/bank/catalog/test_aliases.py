"""Aliases move, and keep their history."""

from __future__ import annotations

import re

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import (
    InputError,
    NotFoundError,
)
from tests.helpers.adapters import new_adapter


def test_an_alias_moves_and_keeps_its_history(bank: Bank) -> None:
    """An alias names one version at a time, and every step stays readable."""
    bank.put(new_adapter())
    bank.put(new_adapter(seed=1), new_version=True)
    for ref in ("mood@1", "mood@2"):
        bank.alias(ref, "production")
        assert bank["mood@production"].ref == ref
    bank.alias("mood@1", "canary")
    assert bank["mood@production"].version == 2
    bank.drop_alias("mood", "production")
    with pytest.raises(NotFoundError, match="no alias"):
        bank["mood@production"]
    steps = [(step.alias, step.version) for step in bank.aliases("mood")]
    assert steps == [("production", 1), ("production", 2), ("canary", 1), ("production", None)]


@pytest.mark.parametrize("alias", ["", "7", "a b", "-x", "é", "x" * 101, "a@b"])
def test_an_alias_that_would_confuse_is_refused(bank: Bank, alias: str) -> None:
    """An alias must be a plain name and no number."""
    bank.put(new_adapter())
    with pytest.raises(InputError, match=f"alias {re.escape(repr(alias))} is invalid: "):
        bank.alias("mood@1", alias)
