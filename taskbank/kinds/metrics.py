"""Values of metrics and their direction: higher or lower is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

LOWER_IS_BETTER = ("log_loss", "brier", "ece")  # for every other metric, higher is better
OF_ABSTENTION = ("coverage", "precision")  # metrics of a version that withholds answers


@dataclass(frozen=True)
class Measurement:
    """A metric's value.

    Attributes:
        value: the metric's value.
        standard_error: the value's standard error over examples.
        count: number of examples.
    """

    value: float
    standard_error: float
    count: int


def orient(metric: str, score: float) -> float:
    """Return a score, negated if lower is better, so that higher is better for any metric."""
    return -score if metric in LOWER_IS_BETTER else score


def metric_drop(metric: str, before: float, after: float) -> float:
    """Return how much worse a metric became; negative if it improved."""
    return orient(metric, before) - orient(metric, after)
