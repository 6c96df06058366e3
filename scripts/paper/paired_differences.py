"""Means, deviations and paired differences of scores over tasks and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskbank.verify.statistics import holm

RESAMPLES = 9999
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean difference.

    Attributes:
        mean: the mean over tasks of the means over seeds.
        low: lower end of the interval.
        high: upper end of the interval.
        p_value: two-sided, corrected for the number of differences.
    """

    mean: float
    low: float
    high: float
    p_value: float


def compare(differences: dict[str, np.ndarray]) -> dict[str, Difference]:
    """Return the mean of paired differences, each with an interval of 95 % and a p-value.

    The interval is a percentile bootstrap over tasks, and over the seeds of each task drawn, with a
    fixed seed: Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
    The p-values are twice the smaller share of resampled means on one side of zero, corrected by
    Holm's method.

    Args:
        differences: arrays of shape [tasks, seeds], by name; NaN where a seed was not run, but not
            for all seeds of a task.
    """
    found = {name: _bootstrap(values) for name, values in differences.items()}
    corrected = holm([one.p_value for one in found.values()])
    return {
        name: Difference(one.mean, one.low, one.high, p_value)
        for (name, one), p_value in zip(found.items(), corrected, strict=True)
    }


def _bootstrap(values: np.ndarray) -> Difference:
    generator = np.random.default_rng(0)
    tasks, seeds = values.shape
    known_first = np.take_along_axis(values, np.isnan(values).argsort(axis=1, kind="stable"), 1)
    known = (~np.isnan(values)).sum(axis=1)
    drawn = generator.integers(tasks, size=(RESAMPLES, tasks))
    chosen = (generator.random((RESAMPLES, tasks, seeds)) * known[drawn][..., None]).astype(int)
    means = known_first[drawn[..., None], chosen].mean(axis=(1, 2))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    smaller = min((means <= 0).sum(), (means >= 0).sum())
    mean = float(np.nanmean(values, axis=1).mean())
    return Difference(mean, float(low), float(high), min(1.0, 2 * (smaller + 1) / (RESAMPLES + 1)))


def task_differences(differences: np.ndarray) -> np.ndarray:
    """Return the p-value of each task's own difference, corrected for the number of tasks.

    Student's t-test of paired samples, two-sided; 1 where a task has fewer than two seeds.

    Args:
        differences: of shape [tasks, seeds], NaN where a seed was not run.
    """
    from scipy.stats import ttest_1samp

    p_values = []
    for own in differences:
        known = own[~np.isnan(own)]
        if len(known) < 2 or np.ptp(known) == 0:  # equal differences leave nothing to estimate
            p_values.append(1.0)
        else:
            p_values.append(float(ttest_1samp(known, 0.0).pvalue))
    return np.array(holm(p_values))


def spread(values: np.ndarray) -> float:
    """Return the standard deviation of a task's scores over seeds; 0 with fewer than two seeds.

    Args:
        values: of shape [seeds], NaN where a seed was not run.
    """
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else 0.0


def mean_and_spread(values: np.ndarray) -> str:
    """Return the mean and the standard deviation of a task's scores, as a table shows them."""
    return f"{np.nanmean(values):.1f} ± {spread(values):.1f}"
