"""Values of metrics, and which direction is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

LOWER_IS_BETTER = ("log_loss",)  # every other metric is the better the higher it is


@dataclass(frozen=True)
class Measurement:
    """A metric's value.

    Attributes:
        value: the metric.
        standard_error: of the value over examples.
        count: number of examples.
    """

    value: float
    standard_error: float
    count: int


def better(metric: str, score: float) -> float:
    """Return a score so that higher is better, whatever the metric."""
    return -score if metric in LOWER_IS_BETTER else score


def drop_of(metric: str, before: float, after: float) -> float:
    """Return by how much a metric is worse; negative if it is better."""
    return better(metric, before) - better(metric, after)
