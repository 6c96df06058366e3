"""Groups of examples by the length of the input."""

from __future__ import annotations

from itertools import pairwise

from taskbank.bank.bank import Bank
from tests.helpers.evidence import evidence_of


def test_lengths_hold_every_example(demo: Bank) -> None:
    """Groups by length follow each other and hold all examples."""
    groups = evidence_of(demo, "ticket-topic@3").lengths
    assert sum(group.count for group in groups) == 400
    assert all(one.longest < other.shortest for one, other in pairwise(groups))
