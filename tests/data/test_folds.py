"""Folds: every row in one, equal inputs together, classes spread evenly."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.examples import Examples
from taskbank.data.folds import assign_folds
from taskbank.errors import DataError


def _examples(count: int, seed: int, repeats: int = 1) -> Examples:
    chance = np.random.default_rng(seed)
    texts = [f"text {number}" for number in chance.integers(0, count // repeats, count)]
    labels = chance.choice(["common", "usual", "rare"], count, p=[0.7, 0.25, 0.05])
    return Examples({"text": tuple(texts), "label": tuple(labels.tolist())}, "a.csv")


@pytest.mark.parametrize("seed", range(20))
def test_equal_inputs_are_in_one_fold_and_no_fold_is_empty(seed: int) -> None:
    """Whatever the labels and the folds, no training sees an input that it is scored on."""
    examples = _examples(60, seed, repeats=3)
    groups = equal_inputs(examples, "label")
    for folds in (2, 5, len(set(groups))):
        fold_of = assign_folds(examples, "label", examples.columns["label"], folds, seed)
        assert set(fold_of) == set(range(folds))
        for group in set(groups):
            assert len(set(fold_of[groups == group])) == 1


def test_every_class_is_spread_as_evenly_as_whole_numbers_allow() -> None:
    """Of different inputs, two folds differ by one at most in each class."""
    labels = ("a",) * 53 + ("b",) * 17 + ("c",) * 3
    texts = tuple(f"text {number}" for number in range(len(labels)))
    examples = Examples({"text": texts, "label": labels}, "a.csv")
    fold_of = assign_folds(examples, "label", labels, 5, seed=0)
    for name in "abc":
        counts = np.bincount(fold_of[np.array(labels) == name], minlength=5)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(fold_of)
    assert sizes.max() - sizes.min() <= 2


def test_the_assignment_depends_on_the_seed_only() -> None:
    """The same data and seed give the same folds; another seed gives others."""
    examples = _examples(50, 0)
    one, again, other = (
        assign_folds(examples, "label", examples.columns["label"], 5, seed).tolist()
        for seed in (0, 0, 1)
    )
    assert one == again != other


def test_more_folds_than_different_inputs_are_refused() -> None:
    """The error names both numbers, and how many folds there may be, if there may be any."""
    examples = Examples({"text": ("a", "b", "a", "c"), "label": tuple("xyxy")}, "tiny.csv")
    with pytest.raises(DataError, match=r"3 different inputs, too few for 4 folds: .* at most 3"):
        assign_folds(examples, "label", examples.columns["label"], 4, seed=0)
    same = examples.select([0, 2], "same.csv")
    with pytest.raises(DataError, match=r"1 different input, too few for 2 folds: give more of t"):
        assign_folds(same, "label", same.columns["label"], 2, seed=0)
