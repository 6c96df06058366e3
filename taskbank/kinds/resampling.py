"""Standard errors over examples; bootstraps use a fixed seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

RESAMPLES = 200


def bootstrap_error(count: int, score: Callable[[np.ndarray], float]) -> float:
    """Return the standard deviation of a score over resampled examples.

    Args:
        count: number of examples.
        score: returns the score of the examples at some positions, an array of shape [count].
    """
    generator = np.random.default_rng(0)
    samples = (generator.integers(0, count, size=count) for _ in range(RESAMPLES))
    return float(np.std([score(rows) for rows in samples], ddof=1))


def standard_error_of_mean(values: np.ndarray) -> float:
    """Return the standard error of the mean of some values."""
    return float(values.std() / np.sqrt(len(values)))


def standard_error_of_share(share: float, count: int) -> float:
    """Return the binomial standard error of a share of some examples."""
    return math.sqrt(share * (1 - share) / count)
