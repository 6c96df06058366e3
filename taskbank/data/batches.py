"""Groups inputs into batches of similar length.

Attention pads each input to the longest of its batch, so batches of similar length waste little.
Training batches stay random: only a bucket of a few dozen batches is sorted by length at a time.
"""

from __future__ import annotations

import numpy as np

BUCKET = 32  # number of training batches that are sorted by length together


def training_batches(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, batch_tokens: int | None = None
) -> list[np.ndarray]:
    """Return an epoch's batches: every example once, in a random order set by the seed.

    Args:
        lengths: number of tokens of each example, of shape [examples].
        batch_size: examples per batch; the last batch may be smaller.
        seed: the training's seed.
        epoch: the epoch's number; each epoch has a different order.
        batch_tokens: maximum number of tokens per batch, unless one example alone has more.
            None means no maximum.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    order = generator.permutation(len(lengths))
    bucket = BUCKET * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), bucket):
        rows = order[start : start + bucket]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += split_into_batches(rows, lengths, batch_size, batch_tokens)
    return [batches[index] for index in generator.permutation(len(batches))]


def evaluation_batches(
    lengths: np.ndarray, batch_size: int, batch_tokens: int | None = None
) -> list[np.ndarray]:
    """Return batches over all examples, ordered by length to keep padding small.

    Args:
        lengths: number of tokens of each example, of shape [examples].
        batch_size: examples per batch; the last batch may be smaller.
        batch_tokens: maximum number of tokens per batch, unless one example alone has more.
            None means no maximum.
    """
    return split_into_batches(np.argsort(lengths, kind="stable"), lengths, batch_size, batch_tokens)


def split_into_batches(
    rows: np.ndarray, lengths: np.ndarray, batch_size: int, batch_tokens: int | None
) -> list[np.ndarray]:
    """Split rows into batches, keeping their order.

    Args:
        rows: positions of the examples.
        lengths: number of tokens of each example, of shape [examples].
        batch_size: maximum number of examples per batch.
        batch_tokens: maximum number of tokens per batch, unless one example alone has more.
            None means no maximum.
    """
    ends = np.cumsum(lengths[rows])
    batches, start = [], 0
    while start < len(rows):
        end = start + batch_size
        if batch_tokens is not None:
            tokens_before = ends[start] - lengths[rows[start]]
            token_end = int(np.searchsorted(ends, tokens_before + batch_tokens, side="right"))
            end = min(end, max(token_end, start + 1))
        batches.append(rows[start:end])
        start = end
    return batches
