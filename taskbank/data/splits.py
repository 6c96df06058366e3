"""Stratified samples of a data set, and held-out parts of it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from taskbank.data.examples import Examples
from taskbank.errors import DataError


def sample(examples: Examples, strata: Sequence[Hashable], rows: int, seed: int) -> Examples:
    """Return so many examples, every stratum with its share of them; all where there are no more.

    Args:
        examples: the labelled examples.
        strata: what each belongs to, one value an example.
        rows: how many are wanted.
        seed: of the choice.

    Raises:
        DataError: if there are too few examples to leave any out.
    """
    if rows >= len(examples):
        return examples
    kept, _ = hold_out(examples, strata, 1 - rows / len(examples), seed)
    return kept


def hold_out(
    examples: Examples, strata: Sequence[Hashable], share: float, seed: int
) -> tuple[Examples, Examples]:
    """Split examples into a larger part for training and a smaller one for validation.

    Every stratum (class) keeps its share of both, as nearly as whole numbers allow; one with a
    single example stays in training.

    Args:
        examples: the labelled examples.
        strata: what each belongs to, one value an example.
        share: of each stratum that is held out, from 0 to 1.
        seed: of the choice; the order within both parts is that of the examples.

    Raises:
        DataError: if there are too few examples to hold any out.
    """
    # Positions in the sorted strata: an array of texts would be as wide as the longest one.
    place = {name: i for i, name in enumerate(sorted(set(strata), key=str))}
    labels = np.array([place[name] for name in strata])
    generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    wanted = max(1, round(share * len(labels)))
    # Largest remainders: whole numbers that add up, and at least one of each class stays.
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * share
    taken = np.minimum(np.floor(exact).astype(int), counts - 1)
    spare = counts - 1 - taken
    order = generator.permutation(len(classes))
    by_remainder = order[np.argsort(-(exact - taken)[order], kind="stable")]
    for index in by_remainder:
        if taken.sum() < wanted and spare[index] > 0:
            taken[index] += 1
    held = [
        generator.choice(np.flatnonzero(labels == name), size=count, replace=False)
        for name, count in zip(classes, taken, strict=True)
    ]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[np.concatenate(held)] = True
    if not chosen.any():
        raise DataError(
            f"{examples.origin} has {len(labels)} rows, too few to hold some out for validation: "
            "give them with --validation"
        )
    origin = f"{examples.origin} ({share:.0%} held out, seed {seed})"
    rest = f"{examples.origin} (without the {share:.0%} held out, seed {seed})"
    return (
        examples.select(np.flatnonzero(~chosen).tolist(), rest),
        examples.select(np.flatnonzero(chosen).tolist(), origin),
    )
