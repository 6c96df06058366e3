"""The tests by which a drop is told from chance. Knows nothing of tasks.

Both tests ask how often so large a drop would come about if each example that changed were as
likely to have changed the other way round. That is exact for any number of examples, which
matters here: what a verification sees is often a handful of changes, and over a thousand tasks
only very small probabilities count. (A paired bootstrap asks nearly the same, but takes three
changes for the worse and none for the better for significant; `scripts/verification/power.py` has
the numbers.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 511  # all ways to swap up to 9 changed examples; a sample of them beyond
RELIABLE = 10  # so many resamples make a share of them that can be relied on


def mcnemar(worse: int, better: int) -> float:
    """Return the one-sided exact p-value of McNemar's test.

    Args:
        worse: examples that were right and are wrong now.
        better: examples that were wrong and are right now.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947); exact, that is binomial, and not approximated.
    """
    from scipy.stats import binomtest

    if worse + better == 0:
        return 1.0
    return float(binomtest(worse, worse + better, 0.5, alternative="greater").pvalue)


def paired_permutation(changed: int, score: Callable[[np.ndarray], float]) -> float:
    """Return the one-sided p-value of a drop in any score, by swapping what changed.

    Every way to swap is tried where there are few; else a sample of them, from a fixed seed,
    whose tail beyond what it can show is that of the normal distribution with its variance.

    Args:
        changed: number of examples that changed.
        score: the higher the better; given for each of them, in an array of bools, whether it
            is taken as it is now and not as it was.

    E. W. Noreen, Computer-Intensive Methods for Testing Hypotheses (1989), chapter 2; for the
    metrics of language tasks, Yeh, "More accurate tests for the statistical significance of
    result differences" (COLING 2000).
    """
    from scipy.stats import norm, permutation_test

    if changed == 0:
        return 1.0
    as_it_was, as_it_is = np.zeros(changed, dtype=bool), np.ones(changed, dtype=bool)
    if changed == 1:  # SciPy wants at least two
        return 0.5 if score(as_it_is) < score(as_it_was) else 1.0
    found = permutation_test(
        (as_it_was, as_it_is),
        lambda one, other: score(one) - score(other),
        permutation_type="samples",
        vectorized=False,
        alternative="greater",
        n_resamples=RESAMPLES + 1,
        rng=np.random.default_rng(0),
    )
    drawn, drop = found.null_distribution, float(found.statistic)
    if 2**changed <= RESAMPLES + 1 or (drawn >= drop).sum() >= RELIABLE:
        return float(found.pvalue)
    spread = float(np.sqrt(np.mean(drawn**2)))  # its mean is zero: every swap has its opposite
    return float(norm.sf(drop / spread)) if spread > 0 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected so that one false alarm among all is as rare as was asked for.

    Args:
        p_values: one a test.

    Returns:
        the corrected ones, in the same order.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979).
    """
    count = len(p_values)
    corrected = [1.0] * count
    largest = 0.0
    for rank, place in enumerate(sorted(range(count), key=lambda one: p_values[one])):
        largest = max(largest, min(1.0, (count - rank) * p_values[place]))
        corrected[place] = largest
    return corrected
