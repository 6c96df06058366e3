"""Abstention as people read it."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.kinds.withheld import describe_abstention, shown_label


@pytest.mark.parametrize(
    ("rule", "threshold", "says"),
    [
        ("precision", 0.83, "unless its answer has a probability of 0.8300 or more"),
        ("alpha", 0.2, "unless one label alone has a probability of 0.2000 or more"),
        ("precision", None, "always: no threshold gives precision=0.95 on validation"),
    ],
)
def test_a_rule_is_described(rule: str, threshold: Any, says: str) -> None:
    """By the probability that an answer must have, or the lack of a threshold."""
    value = {"rule": rule, "level": 0.95, "threshold": threshold}
    assert str(describe_abstention({"abstain": value})).startswith(says)
    assert describe_abstention({}) is None


def test_a_withheld_answer_is_shown_with_what_it_might_be() -> None:
    """An answer by its label, a withheld one by its two most likely candidates."""
    assert shown_label({"label": "good"}) == "good"
    candidates = [{"label": label, "probability": 0.3} for label in "abc"]
    assert shown_label({"label": None, "candidates": candidates}) == "(abstains: a or b)"
