"""The tests that tell a drop from chance: exact where they say so, and corrected for many."""

from __future__ import annotations

from functools import cache
from math import comb

import numpy as np
import pytest
from scipy.stats import norm, permutation_test

from taskbank.verify.statistics import MIN_TAIL_COUNT, SAMPLED, holm, mcnemar, paired_permutation


def tail(worse: int, better: int) -> float:
    """Return the probability of at least so many of one sort, by counting."""
    total = worse + better
    return float(sum(comb(total, k) for k in range(worse, total + 1)) / 2**total)


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (1, 0), (0, 3), (5, 0), (7, 2), (40, 25)])
def test_mcnemar_counts(worse: int, better: int) -> None:
    """The p-value is the share of all ways to call the changes that are as bad or worse."""
    assert mcnemar(worse, better) == pytest.approx(tail(worse, better))


@pytest.mark.parametrize(("worse", "better"), [(1, 0), (3, 0), (4, 2), (2, 4), (9, 0)])
def test_few_swaps_are_all_tried(worse: int, better: int) -> None:
    """For a score that counts what is right, swapping is McNemar's test to the last digit."""
    signs = np.array([-1] * worse + [1] * better)
    found = paired_permutation(len(signs), lambda now: now @ signs)
    assert found == pytest.approx(tail(worse, better))


@pytest.mark.parametrize(("worse", "better"), [(20, 15), (30, 18), (40, 12), (60, 10), (100, 2)])
def test_many_swaps_are_sampled(worse: int, better: int) -> None:
    """A sample of swaps, and the normal tail beyond it, is near the exact value: never less
    than half of it, and far beyond what is asked for still tiny."""
    signs = np.array([-1] * worse + [1] * better)
    found = paired_permutation(len(signs), lambda now: now @ signs)
    exact = tail(worse, better)
    assert found > exact / 2
    assert found < max(3 * exact, 1e-6) or found == pytest.approx(exact, abs=3 / SAMPLED**0.5)


@pytest.mark.parametrize("changed", [2, 9, 10, 41, 3001])
@pytest.mark.parametrize("shift", [0.0, -0.04, 0.3])
def test_it_is_the_permutation_test_of_scipy(changed: int, shift: float) -> None:
    """The sample and the p-value are SciPy's, also where it takes more than one block, and a
    sample that its blocks do not divide."""
    values = np.random.default_rng(changed).normal(loc=shift, size=changed)
    expected = permutation_test(
        (np.zeros(changed), np.ones(changed)),
        lambda one, other: (one - other) @ values,
        permutation_type="samples",
        vectorized=False,
        alternative="greater",
        n_resamples=SAMPLED,
        rng=np.random.default_rng(0),
    )
    drops = expected.null_distribution >= expected.statistic
    found = paired_permutation(changed, lambda now: now @ values)
    if changed < 10 or drops.sum() >= MIN_TAIL_COUNT:
        assert found == pytest.approx(expected.pvalue, rel=1e-12)
    else:
        deviation = np.sqrt(np.mean(expected.null_distribution**2))
        assert found == pytest.approx(norm.sf(expected.statistic / deviation), rel=1e-9)


def test_nothing_that_changed_is_no_evidence() -> None:
    """Without a change there is nothing to swap; a change that the score does not see is none."""
    assert paired_permutation(0, lambda now: np.zeros(len(now))) == 1
    assert paired_permutation(30, lambda now: np.full(len(now), 0.5)) == 1


def test_a_permutation_test_is_the_same_every_time() -> None:
    """Its sample comes from a fixed seed, whatever the state of numpy's own."""
    weights = np.random.default_rng(1).normal(loc=-0.2, size=40)
    first = paired_permutation(40, lambda now: now @ weights)
    np.random.seed(7)
    assert paired_permutation(40, lambda now: now @ weights) == first


def test_holm_is_as_published() -> None:
    """The smallest is multiplied by the count, the next by one less, and none is out of order."""
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, 0.4]) == [1, 1, 1]


def test_a_thousand_tests_give_few_false_alarms() -> None:
    """Under chance alone, one of a thousand corrected tests fires in at most one run of 20."""
    generator = np.random.default_rng(0)
    p_value = cache(mcnemar)  # few pairs of counts differ
    alarms = 0
    for _ in range(100):
        changed = generator.poisson(6, size=1000)
        worse = generator.binomial(changed, 0.5)
        p_values = [p_value(int(w), int(c - w)) for w, c in zip(worse, changed, strict=True)]
        alarms += min(holm(p_values)) < 0.05
    assert alarms <= 10
