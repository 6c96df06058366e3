"""How well the probabilities of answers match the share of correct ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskbank.digests import Json
from taskbank.kinds.calibration import bins_of
from taskbank.kinds.intervals import Interval, wilson
from taskbank.pages.charts import Chart, unit_chart


@dataclass(frozen=True)
class Reliability:
    """How well the probability of an answer matches the share of correct ones.

    Attributes:
        chart: the share of correct answers by probability.
        error: the mean distance between the two, over the examples (expected calibration error).
        rows: of each group the mean probability, the share of correct answers, its interval and
            the number of examples.
    """

    chart: Chart
    error: float
    rows: tuple[tuple[float, float, Interval, int], ...]


def reliability_of(
    answers: Sequence[dict[str, Json]], correctness: np.ndarray
) -> Reliability | None:
    """Return how well the scores of answers match their correctness; None without answers.

    Args:
        answers: the answers, each with the probability of its label as its `score`.
        correctness: 1 for each right answer and 0 for each wrong one, of shape [examples].
    """
    scores = np.array([answer["score"] for answer in answers])
    if not len(scores):
        return None
    bins = bins_of(scores)
    rows, points, distance = [], [], 0.0
    for number in np.unique(bins):
        inside = bins == number
        count = int(inside.sum())
        confidence, share = float(scores[inside].mean()), float(correctness[inside].mean())
        low, high = wilson(share, count)
        rows.append((confidence, share, (low, high), count))
        words = f"probability {confidence:.3f}: {share:.3f} of {count:,} correct"
        points.append((confidence, share, low, high, count / len(scores), words))
        distance += count * abs(share - confidence)
    chart = unit_chart(points, "Share of correct answers by the probability of the answer")
    return Reliability(chart, distance / len(scores), tuple(rows))
