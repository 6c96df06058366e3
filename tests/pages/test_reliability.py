"""Probabilities of answers beside shares of correct ones, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from tests.helpers.evidence import evidence_of


def test_reliability_compares_probabilities_with_shares(four_wrong: Bank) -> None:
    """All answers have one probability, 1 / (1 + exp(-2)), and 36 of 40 are correct."""
    found = evidence_of(four_wrong, "mood@1").reliability
    ((confidence, share, _, count),) = found.rows
    assert confidence == pytest.approx(1 / (1 + np.exp(-2)))
    assert (share, count) == (0.9, 40)
    assert found.error == pytest.approx(abs(0.9 - confidence))
