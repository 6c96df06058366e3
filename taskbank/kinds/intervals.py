"""Intervals of metrics: the range in which the value of unlimited data lies, with 95 % confidence.

A standard error describes a score well if there are many examples and the score is not near the
end of its range. A share of correct answers has an interval that holds for any number of
examples: two correct answers out of two show no more than a share of 0.34.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations
Interval = tuple[float, float]


class Measured(Protocol):
    """A metric's value, as a `MetricRecord` has it."""

    @property
    def name(self) -> str:
        """The metric's name."""

    @property
    def value(self) -> float:
        """The metric's value."""

    @property
    def standard_error(self) -> float:
        """The value's standard error over examples."""

    @property
    def count(self) -> int:
        """Number of examples."""


def wilson(share: float, count: int) -> Interval:
    """Return the 95 % interval of a share of correct answers.

    Args:
        share: the share, from 0 to 1.
        count: number of examples.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927).
    """
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) * Z / (1 + Z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def interval(kind: Kind, measured: Measured) -> Interval | None:
    """Return the 95 % interval of a metric that is a share of correct answers; else None.

    Args:
        kind: the task's kind, which knows the metrics that are such shares.
        measured: the metric's value.
    """
    if measured.name not in kind.proportions:
        return None
    return wilson(measured.value, measured.count)


def needs_interval(measured: Measured) -> bool:
    """Return whether a standard error is misleading for a metric that lies between 0 and 1.

    It is if there is none, as all examples are alike, or if it reaches beyond the range.
    """
    reach = Z * measured.standard_error
    return not (reach > 0 and measured.value - reach >= 0 and measured.value + reach <= 1)


def difference_interval(kind: Kind, first: Measured, second: Measured) -> Interval:
    """Return the 95 % interval of how much a metric is higher in the second of two data sets.

    Args:
        kind: the task's kind.
        first: the metric's value on one data set.
        second: its value on another data set, with other examples.

    The intervals of the two values are combined as in R. G. Newcombe, "Interval estimation for the
    difference between independent proportions", Statistics in Medicine 17 (1998), method 10.
    """
    difference = second.value - first.value
    (low_1, high_1), (low_2, high_2) = (
        interval(kind, one)
        or (one.value - Z * one.standard_error, one.value + Z * one.standard_error)
        for one in (first, second)
    )
    low = math.hypot(second.value - low_2, high_1 - first.value)
    high = math.hypot(high_2 - second.value, first.value - low_1)
    return difference - low, difference + high
