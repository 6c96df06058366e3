"""Draws stratified samples of a data set, and holds out validation data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from taskbank.data.examples import Examples
from taskbank.errors import DataError


def sample(examples: Examples, strata: Sequence[Hashable], rows: int, seed: int) -> Examples:
    """Return a stratified sample of some examples, or all of them if there are no more.

    Args:
        examples: the labelled examples.
        strata: the stratum of each example.
        rows: size of the sample.
        seed: the sample's seed.

    Raises:
        DataError: if there are too few examples to leave any out of the sample.
    """
    if rows >= len(examples):
        return examples
    kept, _ = hold_out(examples, strata, 1 - rows / len(examples), seed)
    return kept


def hold_out(
    examples: Examples, strata: Sequence[Hashable], share: float, seed: int
) -> tuple[Examples, Examples]:
    """Split examples into a larger part for training and a smaller part for validation.

    Every stratum (class) keeps its share of both parts, as nearly as whole numbers allow; a stratum
    with a single example stays in training.

    Args:
        examples: the labelled examples.
        strata: the stratum of each example.
        share: share of each stratum to hold out, from 0 to 1.
        seed: seed of the random choice; both parts keep the order of the examples.

    Raises:
        DataError: if there are too few examples to hold any out.
    """
    # Positions instead of names: an array of texts would be as wide as the longest text.
    positions = {name: i for i, name in enumerate(sorted(set(strata), key=str))}
    labels = np.array([positions[name] for name in strata])
    generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    total = max(1, round(share * len(labels)))
    # Largest remainders: whole numbers with the wanted sum, leaving at least one of each class.
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * share
    sizes = np.minimum(np.floor(exact).astype(int), counts - 1)
    spare = counts - 1 - sizes
    order = generator.permutation(len(classes))
    by_remainder = order[np.argsort(-(exact - sizes)[order], kind="stable")]
    for index in by_remainder:
        if sizes.sum() < total and spare[index] > 0:
            sizes[index] += 1
    chosen_rows = [
        generator.choice(np.flatnonzero(labels == name), size=count, replace=False)
        for name, count in zip(classes, sizes, strict=True)
    ]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[np.concatenate(chosen_rows)] = True
    if not held_out.any():
        raise DataError(
            f"{examples.origin} has {len(labels)} rows, too few to hold some out for validation: "
            "give them with --validation"
        )
    origin = f"{examples.origin} ({share:.0%} held out, seed {seed})"
    remaining = f"{examples.origin} (without the {share:.0%} held out, seed {seed})"
    return (
        examples.select(np.flatnonzero(~held_out).tolist(), remaining),
        examples.select(np.flatnonzero(held_out).tolist(), origin),
    )
