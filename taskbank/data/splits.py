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
    examples: Examples,
    strata: Sequence[Hashable],
    share: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[Examples, Examples]:
    """Split examples into a larger part for training and a smaller part for validation.

    Every stratum (class) keeps its share of both parts, as nearly as whole numbers allow; a stratum
    with a single example stays in training.

    Args:
        examples: the labelled examples.
        strata: the stratum of each example.
        share: share of each stratum to hold out, from 0 to 1.
        seed: seed of the random choice; both parts keep the order of the examples.
        groups: the group of each example, from 0, int64 of shape [examples]; a group is in one
            part as a whole. None means that every example is alone.

    Raises:
        DataError: if there are too few examples or groups to hold any out.
    """
    # Positions instead of names: an array of texts would be as wide as the longest text.
    positions = {name: i for i, name in enumerate(sorted(set(strata), key=str))}
    labels = np.array([positions[name] for name in strata])
    generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    if groups is None or len(np.unique(groups)) == len(groups):
        held_out = _choose_rows(labels, share, generator)
    else:
        held_out = _choose_groups(labels, share, generator, groups)
    if not held_out.any():
        different = len(labels) if groups is None else len(np.unique(groups))
        inputs = f" with {different} different inputs" if different < len(labels) else ""
        raise DataError(
            f"{examples.origin} has {len(labels)} rows{inputs}, too few to hold some out for "
            "validation: give them with --validation"
        )
    origin = f"{examples.origin} ({share:.0%} held out, seed {seed})"
    remaining = f"{examples.origin} (without the {share:.0%} held out, seed {seed})"
    return (
        examples.select(np.flatnonzero(~held_out).tolist(), remaining),
        examples.select(np.flatnonzero(held_out).tolist(), origin),
    )


def _choose_rows(labels: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Return which rows to hold out, bool of shape [rows]."""
    chosen_rows = [
        generator.choice(np.flatnonzero(labels == name), size=count, replace=False)
        for name, count in zip(*_sizes(labels, share, generator), strict=True)
    ]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[np.concatenate(chosen_rows)] = True
    return held_out


def _choose_groups(
    labels: np.ndarray, share: float, generator: np.random.Generator, groups: np.ndarray
) -> np.ndarray:
    """Return which rows to hold out, bool of shape [rows], so that no group is divided.

    A group counts to the rarest stratum of its rows. Groups that are too large for the share of
    their stratum stay in training, unless nothing else can be held out.
    """
    sizes, rarity = np.bincount(groups), np.bincount(labels)[labels]
    stratum = np.zeros(len(sizes), dtype=np.int64)
    for row in np.argsort(-rarity, kind="stable"):  # the rarest of a group is written last
        stratum[groups[row]] = labels[row]
    wanted = dict(zip(*_sizes(stratum[groups], share, generator), strict=True))
    left = np.bincount(stratum)  # groups of each stratum that are still in training
    room, chosen = sum(wanted.values()), np.zeros(len(sizes), dtype=bool)
    order = generator.permutation(len(sizes))
    for by_stratum in (True, False):  # then what other strata could not use
        for group in order:
            own = stratum[group]
            limit = min(wanted[own], room) if by_stratum else room
            if not chosen[group] and sizes[group] <= limit and left[own] > 1:
                chosen[group] = True
                wanted[own] -= sizes[group]
                room -= sizes[group]
                left[own] -= 1
    if not chosen.any():
        candidates = [group for group in order if left[stratum[group]] > 1]
        chosen[sorted(candidates, key=lambda group: sizes[group])[:1]] = True
    held_out: np.ndarray = chosen[groups]
    return held_out


def _sizes(
    labels: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the strata, and the number of rows to hold out of each.

    Largest remainders: whole numbers with the wanted sum, leaving at least one row of each stratum.
    """
    total = max(1, round(share * len(labels)))
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * share
    sizes = np.minimum(np.floor(exact).astype(int), counts - 1)
    spare = counts - 1 - sizes
    order = generator.permutation(len(classes))
    by_remainder = order[np.argsort(-(exact - sizes)[order], kind="stable")]
    for index in by_remainder:
        if sizes.sum() < total and spare[index] > 0:
            sizes[index] += 1
    return classes, sizes
