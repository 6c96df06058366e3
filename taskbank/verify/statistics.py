"""Statistical tests of whether chance explains a drop, independent of tasks.

Under the null hypothesis of both tests, each changed example was equally likely to change in the
opposite direction. The tests are exact for any number of examples. This matters because a
verification often sees only a handful of changes, and over a thousand tasks only very small
probabilities are significant. (A paired bootstrap tests nearly the same hypothesis, but calls three
changes for the worse and none for the better significant; `scripts/verification/power.py`
has the numbers.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

SAMPLED = 512  # swaps: all of those of up to 9 changed examples, and a sample of those of more
MIN_TAIL_COUNT = 10  # swaps in the tail that are needed for a reliable share
ROUNDING = 100 * float(np.finfo(np.float64).eps)  # equal drops, summed in another order
BLOCK = 1 << 20  # swapped examples that are scored at a time


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


def paired_permutation(changed: int, score: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the one-sided p-value of a drop in any score, from a paired permutation test.

    If there are few swaps, all of them are tried. Otherwise a sample with a fixed seed is drawn,
    and a tail that is too small for the sample is taken from the normal distribution with the
    sample's variance.

    Args:
        changed: number of examples that changed.
        score: returns scores, higher being better, one for each row of an array of bools of shape
            [rows, changed]; a row tells which examples have their new predictions instead of their
            old ones.

    E. W. Noreen, Computer-Intensive Methods for Testing Hypotheses (1989), chapter 2; for the
    metrics of language tasks, Yeh, "More accurate tests for the statistical significance of
    result differences" (COLING 2000). The sample and the p-value are those of SciPy's
    `permutation_test`, which takes several times as long.
    """
    from scipy.stats import norm

    if changed == 0:
        return 1.0

    def drops(swaps: np.ndarray) -> np.ndarray:
        return np.asarray(score(swaps) - score(~swaps))

    drop = float(drops(np.zeros((1, changed), dtype=bool))[0])
    exact = 2**changed <= SAMPLED
    swaps = [_all_swaps(changed)] if exact else _sampled_swaps(changed)
    resampled = np.concatenate([drops(block) for block in swaps])
    as_large = int((resampled >= drop - ROUNDING * abs(drop)).sum())
    if exact:
        return as_large / len(resampled)
    if (resampled >= drop).sum() >= MIN_TAIL_COUNT:
        return (as_large + 1) / (len(resampled) + 1)  # the observed one is a swap, too
    # The mean is zero because every swap has its opposite.
    deviation = float(np.sqrt(np.mean(resampled**2)))
    return float(norm.sf(drop / deviation)) if deviation > 0 else 1.0


def _all_swaps(changed: int) -> np.ndarray:
    """Return every way to swap the predictions of some examples, bools [ways, changed]."""
    ways = np.arange(2**changed)[:, None] >> np.arange(changed)
    return np.asarray(ways % 2 == 1)


def _sampled_swaps(changed: int) -> Iterator[np.ndarray]:
    """Yield the sample in blocks of bools [rows, changed], which bounds the memory."""
    generator = np.random.default_rng(0)
    rows = max(1, BLOCK // changed)
    for start in range(0, SAMPLED, rows):
        shape = (min(rows, SAMPLED - start), changed)
        yield generator.integers(2**32, size=shape, dtype=np.uint32) % 2 == 0


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
