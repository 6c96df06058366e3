"""Tokenising once, and batches of similar length."""

from __future__ import annotations

import numpy as np
import pytest

from taskbank.data.batches import evaluation_batches, training_batches

LENGTHS = np.random.default_rng(0).integers(3, 60, size=1000)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_training_batches_hold_every_example_once(batch_size: int) -> None:
    """No example is left out or seen twice in an epoch, and no batch is too large."""
    batches = training_batches(LENGTHS, batch_size, seed=0, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(len(LENGTHS)))
    assert max(map(len, batches)) == batch_size


@pytest.mark.parametrize("tokens", [1, 100, 500])
def test_no_batch_has_more_tokens_than_it_may(tokens: int) -> None:
    """Every example is in one batch, of at most so many tokens unless it is alone."""
    for batches in (
        training_batches(LENGTHS, 32, 0, 1, tokens),
        evaluation_batches(LENGTHS, 32, tokens),
    ):
        assert sorted(np.concatenate(batches)) == list(range(len(LENGTHS)))
        assert all(len(b) <= 32 and (len(b) == 1 or LENGTHS[b].sum() <= tokens) for b in batches)
    if tokens == 500:  # and not of many fewer either
        assert np.mean([LENGTHS[b].sum() for b in batches]) > 400


def test_training_batches_depend_on_seed_and_epoch_alone() -> None:
    """The same seed and epoch give the same batches; another of either gives others."""

    def flat(seed: int, epoch: int) -> list[int]:
        return list(np.concatenate(training_batches(LENGTHS, 32, seed, epoch)))

    assert flat(0, 1) == flat(0, 1)
    assert flat(0, 1) != flat(0, 2) != flat(1, 2)


def test_batches_waste_little_on_padding_and_stay_random() -> None:
    """Buckets cut padding to a few percent, and which examples meet changes between epochs."""

    def padded(batches: list[np.ndarray]) -> float:
        cells = sum(len(rows) * LENGTHS[rows].max() for rows in batches)
        return float(cells / LENGTHS.sum())

    assert padded(training_batches(LENGTHS, 32, 0, 1)) < 1.1
    assert padded(evaluation_batches(LENGTHS, 32)) < 1.05
    first, second = ({frozenset(b) for b in training_batches(LENGTHS, 4, 0, e)} for e in (1, 2))
    assert len(first & second) < len(first) / 2


def test_evaluation_batches_hold_every_example_once() -> None:
    """No example is left out or seen twice."""
    assert sorted(np.concatenate(evaluation_batches(LENGTHS, 64))) == list(range(len(LENGTHS)))
