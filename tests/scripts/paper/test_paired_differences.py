"""Tests of scripts/paper/paired_differences.py."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.paper.paired_differences import compare, mean_and_spread, task_differences


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    """Over 200 draws of 16 tasks and 5 seeds, about 95 % of the intervals hold the true mean."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        tasks = generator.normal(0.5, 1.0, size=(16, 1))
        found = compare({"arm": tasks + generator.normal(0.0, 1.0, size=(16, 5))})["arm"]
        held += found.low <= 0.5 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_an_arm_without_effect_is_rarely_significant() -> None:
    """Of four arms without effect, one has a p-value below 0.05 in about one of twenty draws."""
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(100):
        arms = {str(arm): generator.normal(0.0, 1.0, size=(12, 3)) for arm in range(4)}
        alarms += any(found.p_value < 0.05 for found in compare(arms).values())
    assert alarms <= 15


def test_a_clear_difference_is_significant_and_has_its_sign() -> None:
    """A gain of one point on every task has an interval above zero, and a loss one below."""
    noise = np.random.default_rng(2).normal(0.0, 0.5, size=(8, 3))
    found = compare({"better": 1.0 + noise, "worse": noise - 1.0})
    assert found["better"].low > 0 > found["worse"].high
    assert max(one.p_value for one in found.values()) < 0.05
    assert found["better"].mean == pytest.approx(1.0 + noise.mean())


def test_seeds_that_were_not_run_are_left_out() -> None:
    """NaN stands for a seed that was not run: the mean is that of the others."""
    found = compare({"arm": np.array([[1.0, np.nan, 3.0], [4.0, 4.0, np.nan]])})["arm"]
    assert found.mean == pytest.approx(3.0)


def test_a_task_is_worse_if_its_seeds_agree() -> None:
    """Seeds that agree give a small p-value, seeds that disagree or are alone a large one."""
    p_values = task_differences(
        np.array([[-1.0, -1.1, -0.9, -1.0], [1.0, -1.0, 2.0, -2.0], [-5.0, *[np.nan] * 3]])
    )
    assert p_values[0] < 0.01
    assert p_values[1:].min() > 0.3


def test_the_deviation_over_seeds_is_that_of_a_sample() -> None:
    """It is divided by one less than the seeds that were run; one seed alone has none."""
    assert mean_and_spread(np.array([70.0, 72.0, np.nan])) == "71.0 ± 1.4"
    assert mean_and_spread(np.array([70.0, np.nan])) == "70.0 ± 0.0"
