"""Statistical tests of whether chance explains a drop, independent of tasks.

Under the null hypothesis of both tests, each changed example was equally likely to change in the
opposite direction. The tests are exact for any number of examples. This matters because a
verification often sees only a handful of changes, and over a thousand tasks only very small
probabilities are significant. (A paired bootstrap tests nearly the same hypothesis, but calls three
changes for the worse and none for the better significant; `scripts/verification/power.py`
has the numbers.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 511  # covers all swaps of up to 9 changed examples, and samples the swaps of more
MIN_TAIL_COUNT = 10  # resamples in the tail that are needed for a reliable share


def mcnemar(worse: int, better: int) -> float:
    """Return the one-sided exact p-value of McNemar's test.

    Args:
        worse: number of examples that changed from correct to wrong.
        better: number of examples that changed from wrong to correct.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947); in its exact binomial form, without approximation.
    """
    from scipy.stats import binomtest

    if worse + better == 0:
        return 1.0
    return float(binomtest(worse, worse + better, 0.5, alternative="greater").pvalue)


def paired_permutation(changed: int, score: Callable[[np.ndarray], float]) -> float:
    """Return the one-sided p-value of a drop in any score, from a paired permutation test.

    If there are few swaps, all of them are tried. Otherwise a sample with a fixed seed is drawn,
    and a tail that is too small for the sample is taken from the normal distribution with the
    sample's variance.

    Args:
        changed: number of examples that changed.
        score: returns the score, higher being better, for an array of bools of shape [changed]
            that tells which examples have their new predictions instead of their old ones.

    E. W. Noreen, Computer-Intensive Methods for Testing Hypotheses (1989), chapter 2; for the
    metrics of language tasks, Yeh, "More accurate tests for the statistical significance of
    result differences" (COLING 2000).
    """
    from scipy.stats import norm, permutation_test

    if changed == 0:
        return 1.0
    all_old, all_new = np.zeros(changed, dtype=bool), np.ones(changed, dtype=bool)
    if changed == 1:  # SciPy needs at least two
        return 0.5 if score(all_new) < score(all_old) else 1.0
    result = permutation_test(
        (all_old, all_new),
        lambda one, other: score(one) - score(other),
        permutation_type="samples",
        vectorized=False,
        alternative="greater",
        n_resamples=RESAMPLES + 1,
        rng=np.random.default_rng(0),
    )
    resampled, drop = result.null_distribution, float(result.statistic)
    if 2**changed <= RESAMPLES + 1 or (resampled >= drop).sum() >= MIN_TAIL_COUNT:
        return float(result.pvalue)
    # The mean is zero because every swap has its opposite.
    deviation = float(np.sqrt(np.mean(resampled**2)))
    return float(norm.sf(drop / deviation)) if deviation > 0 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected to control the probability of any false alarm among all tests.

    Args:
        p_values: one p-value per test.

    Returns:
        the corrected p-values, in the same order.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979).
    """
    count = len(p_values)
    corrected = [1.0] * count
    largest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda one: p_values[one])):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
