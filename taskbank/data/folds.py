"""Assigns examples to the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from taskbank.counts import counted
from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.examples import Examples
from taskbank.errors import DataError


def assign_folds(
    examples: Examples, label: str, strata: Sequence[Hashable], folds: int, seed: int
) -> np.ndarray:
    """Return the fold of each example, from 0.

    Examples with equal inputs are in one fold, so that no training has seen an input that it is
    scored on. Every stratum is spread over the folds as evenly as that allows.

    Args:
        examples: the labelled examples.
        label: the column to predict.
        strata: the stratum of each example, such as its class.
        folds: number of folds.
        seed: seed of the random order in which examples are assigned.

    Returns:
        an int64 array of shape [examples].

    Raises:
        DataError: if there are fewer different inputs than folds.
    """
    groups = equal_inputs(examples, label)
    sizes = np.bincount(groups)
    if folds > len(sizes):
        fewer = f", or take at most {len(sizes):,} folds" if len(sizes) > 1 else ""
        raise DataError(
            f"{examples.origin} has {counted(len(sizes), 'different input')}, too few for {folds} "
            f"folds: give more of them{fewer}"
        )
    positions = {name: i for i, name in enumerate(sorted(set(strata), key=str))}
    counts = np.zeros((len(sizes), len(positions)), dtype=np.int64)
    np.add.at(counts, (groups, np.array([positions[name] for name in strata])), 1)
    order = np.random.default_rng(np.random.SeedSequence([seed, 1])).permutation(len(sizes))
    # Large groups first, as only small ones can even out what they cause; then class by class.
    ordered = order[np.lexsort((counts.argmax(axis=1)[order], -sizes[order]))]
    in_fold = np.zeros((folds, len(positions)), dtype=np.int64)
    fold_of_group = np.zeros(len(sizes), dtype=np.int64)
    for group in ordered:
        stratum = counts[group].argmax()
        fold = min(range(folds), key=lambda one: (in_fold[one, stratum], in_fold[one].sum()))
        in_fold[fold] += counts[group]
        fold_of_group[group] = fold
    fold_of: np.ndarray = fold_of_group[groups]
    return fold_of
