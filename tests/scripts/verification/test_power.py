"""Tests of scripts/verification/power.py."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.verification import power


def test_both_tables_have_a_row_per_case(capsys: pytest.CaptureFixture[str]) -> None:
    """With few tasks, each combination of examples and drop has a row, and each test has one."""
    generator = np.random.default_rng(0)
    power.print_power(generator, 20)
    rows = capsys.readouterr().out.splitlines()[4:]
    assert len(rows) == len(power.EXAMPLES) * len(power.DROPS)
    assert "| 3,000 | 5 points | 100.0% | 100.0% | 100.0% |" in rows


def test_bootstrap_and_permutation_agree_on_a_clear_drop() -> None:
    """Twenty lost positives of a hundred are significant by both tests."""
    target = np.ones(100, dtype=bool)
    after = target.copy()
    after[:20] = False
    generator = np.random.default_rng(0)
    assert power._permuted(generator, target, target, after) < 0.001
    assert power._bootstrapped(generator, target, target, after) < 0.001
    assert power._permuted(generator, target, target, target) == 1
