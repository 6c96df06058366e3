"""Intervals hold as often as they say, however few examples there are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from taskbank.bank.records import MetricRecord
from taskbank.kinds.intervals import (
    difference_interval,
    interval,
    needs_interval,
    wilson,
)
from taskbank.kinds.single import SINGLE


def _accuracy(right: int, count: int) -> MetricRecord:
    share = right / count
    return MetricRecord("test", "accuracy", share, (share * (1 - share) / count) ** 0.5, count)


@pytest.mark.parametrize(("right", "count"), [(0, 1), (2, 2), (7, 10), (599, 600), (40, 1000)])
def test_a_share_has_the_interval_that_scipy_gives_it(right: int, count: int) -> None:
    """Wilson's interval, to the last digits."""
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_two_correct_answers_out_of_two_show_little() -> None:
    """Their standard error of zero says otherwise, so the interval is needed."""
    low, high = interval(SINGLE, _accuracy(2, 2)) or (0, 0)
    assert low == pytest.approx(0.342, abs=1e-3)
    assert high == 1
    assert needs_interval(_accuracy(2, 2))
    assert needs_interval(_accuracy(9, 10))
    assert not needs_interval(_accuracy(90, 100))


def test_only_a_share_of_correct_answers_has_an_interval() -> None:
    """An F1 or a coefficient has a standard error only."""
    assert interval(SINGLE, MetricRecord("test", "matthews", 1.0, 0.5, 2)) is None


@pytest.mark.parametrize("count", [5, 10, 30])
def test_the_interval_of_a_difference_holds_nearly_always(count: int) -> None:
    """Over all outcomes of two shares, it holds their difference with about 95 % probability."""
    for first, second in ((0.5, 0.5), (0.9, 0.6), (0.95, 0.95)):
        outcomes = np.arange(count + 1)
        total = 0.0
        for one in outcomes:
            for other in outcomes:
                chance = binom.pmf(one, count, first) * binom.pmf(other, count, second)
                if chance > 1e-6:
                    low, high = difference_interval(
                        SINGLE, _accuracy(int(one), count), _accuracy(int(other), count)
                    )
                    total += chance * (low <= second - first <= high)
        assert total > 0.92


def test_a_difference_of_other_metrics_combines_their_standard_errors() -> None:
    """Without intervals of their own, it is the usual one."""
    first, second = (MetricRecord("t", "f1", value, 0.03, 99) for value in (0.8, 0.7))
    low, high = difference_interval(SINGLE, first, second)
    half = 1.959963984540054 * 0.03 * 2**0.5
    assert (low, high) == pytest.approx((-0.1 - half, -0.1 + half))
