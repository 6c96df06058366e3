"""Standard errors over examples, by the bootstrap from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 200


def bootstrap(count: int, score: Callable[[np.ndarray], float]) -> float:
    """Return the standard deviation of a score over resampled examples.

    Args:
        count: number of examples.
        score: of some examples, given their positions, an array of shape [count].
    """
    generator = np.random.default_rng(0)
    drawn = (generator.integers(0, count, size=count) for _ in range(RESAMPLES))
    return float(np.std([score(rows) for rows in drawn], ddof=1))


def of_mean(values: np.ndarray) -> float:
    """Return the standard error of the mean of some values."""
    return float(values.std() / np.sqrt(len(values)))
