"""The paired comparison of answers, against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from taskbank.promotion.paired import paired


def test_right_and_wrong_answers_get_the_exact_test() -> None:
    """Of 100 answers 12 became wrong and 3 right: McNemar's test, with two sides."""
    before = np.array([1.0] * 12 + [0.0] * 3 + [1.0] * 85)
    after = np.array([0.0] * 12 + [1.0] * 3 + [1.0] * 85)
    found = paired(before, after)
    assert (found.examples, found.worse, found.better) == (100, 12, 3)
    assert found.difference == pytest.approx(-0.09)
    assert found.p_value == pytest.approx(binomtest(3, 15).pvalue)
    low, high = found.interval
    assert -0.17 < low < -0.16
    assert -0.02 < high < -0.01
    back = paired(after, before)
    assert back.p_value == found.p_value
    assert back.interval == pytest.approx((-high, -low))


def test_no_change_is_no_difference() -> None:
    """Answers that are alike differ by nothing, within an interval that few examples allow."""
    found = paired(np.ones(10), np.ones(10))
    assert (found.difference, found.p_value) == (0, 1)
    assert found.interval[0] < 0 < found.interval[1]


def test_errors_of_numbers_are_compared_by_their_mean() -> None:
    """Errors that shrink by the same amount everywhere are better for certain."""
    errors = np.linspace(0.5, 1.5, 40)
    found = paired(-errors, -errors + 0.25)
    assert found.difference == pytest.approx(0.25)
    assert found.interval == pytest.approx((0.25, 0.25))
    assert found.p_value < 0.001
    assert (found.worse, found.better) == (0, 40)
