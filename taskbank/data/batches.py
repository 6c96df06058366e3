"""Cuts inputs into batches of similar length.

Attention pads to the longest input of a batch, so batches of similar length waste little. Training
batches stay random: only a bucket of a few dozen batches is sorted at a time.
"""

from __future__ import annotations

import numpy as np

BUCKET = 32  # batches of training data that are sorted by length together


def training_batches(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, batch_tokens: int | None = None
) -> list[np.ndarray]:
    """Return an epoch's batches: every example once, in a random order that the seed decides.

    Args:
        lengths: tokens of each example, of shape [examples].
        batch_size: examples a batch; the last may be smaller.
        seed: of the training.
        epoch: its number; each has another order.
        batch_tokens: tokens a batch, at most, unless one example has more; none means any number.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    order = generator.permutation(len(lengths))
    bucket = BUCKET * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), bucket):
        rows = order[start : start + bucket]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += cut(rows, lengths, batch_size, batch_tokens)
    return [batches[index] for index in generator.permutation(len(batches))]


def evaluation_batches(
    lengths: np.ndarray, batch_size: int, batch_tokens: int | None = None
) -> list[np.ndarray]:
    """Return batches over all examples, ordered by length so that little is padded.

    Args:
        lengths: tokens of each example, of shape [examples].
        batch_size: examples a batch; the last may be smaller.
        batch_tokens: tokens a batch, at most, unless one example has more; none means any number.
    """
    return cut(np.argsort(lengths, kind="stable"), lengths, batch_size, batch_tokens)


def cut(
    rows: np.ndarray, lengths: np.ndarray, batch_size: int, batch_tokens: int | None
) -> list[np.ndarray]:
    """Cut rows into batches, in their order.

    Args:
        rows: positions of examples.
        lengths: tokens of each example, of shape [examples].
        batch_size: examples a batch, at most.
        batch_tokens: tokens a batch, at most, unless one example has more; none means any number.
    """
    ends = np.cumsum(lengths[rows])
    batches, start = [], 0
    while start < len(rows):
        end = start + batch_size
        if batch_tokens is not None:
            before = ends[start] - lengths[rows[start]]
            fitting = int(np.searchsorted(ends, before + batch_tokens, side="right"))
            end = min(end, max(fitting, start + 1))
        batches.append(rows[start:end])
        start = end
    return batches
