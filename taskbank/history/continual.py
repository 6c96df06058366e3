"""Continual-learning measures of a matrix of scores, independent of banks.

`R[i, j]` is the score of task j after the first i + 1 tasks were added; higher is better, and NaN
means unknown. Row i holds the scores right after task i was added.
"""

from __future__ import annotations

import numpy as np


def average_accuracy(scores: np.ndarray) -> float:
    """Return the mean score of all tasks after the last task was added.

    Args:
        scores: R, of shape [tasks, tasks].

    ACC of Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning" (NeurIPS
    2017), equation 2.
    """
    return _mean(scores[-1])


def backward_transfer(scores: np.ndarray) -> float | None:
    """Return the mean change of the tasks' scores since each task was added.

    It is negative if adding tasks made older ones worse, and None for a single task.

    Args:
        scores: R, of shape [tasks, tasks].

    BWT of Lopez-Paz and Ranzato (2017), equation 3.
    """
    if len(scores) < 2:
        return None
    return _mean(scores[-1, :-1] - np.diag(scores)[:-1])


def forward_transfer(scores: np.ndarray, untrained: np.ndarray) -> float | None:
    """Return the mean gain of tasks, before they are added, over scores without any learning.

    It is None for a single task, and if no task was scored before it was added.

    Args:
        scores: R, of shape [tasks, tasks].
        untrained: score of each task without any learning, of shape [tasks].

    FWT of Lopez-Paz and Ranzato (2017), equation 4.
    """
    before = np.diag(scores, k=1) - untrained[1:]
    return _mean(before) if np.isfinite(before).any() else None


def forgetting(scores: np.ndarray) -> float | None:
    """Return the mean drop of the tasks' scores from their earlier maximum.

    It is None for a single task. If no task ever scored better than right after it was added, it
    equals the negated backward transfer, which Avalanche calls forgetting.

    Args:
        scores: R, of shape [tasks, tasks].

    F of Chaudhry et al., "Riemannian Walk for Incremental Learning" (ECCV 2018), section 4.
    """
    if len(scores) < 2:
        return None
    best = np.fmax.reduce(scores[:-1, :-1], axis=0)
    return _mean(best - scores[-1, :-1])


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
