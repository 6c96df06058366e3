"""Arithmetic on logits: softmax, margins and changes of the largest logit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def class_changes(reference: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows in which another class has the largest logit, and the reference's margin.

    Args:
        reference: logits of shape [rows, classes].
        predictions: logits of the same shape; a row with NaN or infinity counts as changed.

    Returns:
        two arrays of shape [rows]: whether the row changed, and `Changes.margin`.
    """
    before, after = reference.argmax(axis=1), predictions.argmax(axis=1)
    broken = ~np.isfinite(predictions).all(axis=1)
    rows = np.arange(len(reference))
    with np.errstate(invalid="ignore"):
        margin = np.where(broken, np.inf, reference[rows, before] - reference[rows, after])
    return (before != after) | broken, margin


def margins(logits: np.ndarray) -> np.ndarray:
    """Return the difference between the largest and second-largest logit of each row."""
    highest = np.partition(logits, -2, axis=1)
    return np.asarray(highest[:, -1] - highest[:, -2])


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax over the last axis, in float64, of logits divided by a temperature."""
    shifted = logits.astype(np.float64) / temperature
    shifted -= shifted.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    shares: np.ndarray = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares


def log_mean_softmax(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logits whose softmax is the mean of several softmaxes over the last axis.

    Logits are known up to a number added to all of a row. Here it makes the result equal to the
    logits where all of them are equal.

    Args:
        logits: arrays of the same shape.
    """
    return shifted_log_mean(logits, lambda one: np.logaddexp.reduce(one, axis=-1, keepdims=True))


def shifted_log_mean(
    logits: Sequence[np.ndarray], total: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the logarithm of the mean of several softmaxes, plus the mean of their totals.

    Args:
        logits: arrays of the same shape.
        total: returns the logarithm of the sum of the exponentials that a softmax divides by, in
            float64 and in a shape that can be subtracted from the logits.

    Returns:
        float32 of the shape of the logits; NaN where one of them is NaN or infinite.
    """
    wide = [one.astype(np.float64) for one in logits]
    with np.errstate(invalid="ignore"):
        totals = [total(one) for one in wide]
        logarithms = np.stack([one - own for one, own in zip(wide, totals, strict=True)])
        mean = np.logaddexp.reduce(logarithms, axis=0) - np.log(len(wide))
        return _if_finite(logits, mean + np.mean(totals, axis=0))


def logit_of_mean(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logits whose sigmoid is the mean of several sigmoids.

    Args:
        logits: arrays of the same shape.

    Returns:
        float32 of that shape; NaN where one of them is NaN or infinite.
    """
    wide = np.stack(logits).astype(np.float64)
    # The logarithm of a sigmoid of x is -log(1 + exp(-x)), of its complement -log(1 + exp(x)).
    with np.errstate(invalid="ignore"):
        positive, negative = (
            np.logaddexp.reduce(-np.logaddexp(0, side), axis=0) for side in (-wide, wide)
        )
        return _if_finite(logits, positive - negative)


def _if_finite(logits: Sequence[np.ndarray], combined: np.ndarray) -> np.ndarray:
    """Return combined logits in float32, with NaN where a mean would hide a broken logit."""
    finite = np.isfinite(logits).all(axis=0)
    return np.where(finite, combined, np.nan).astype(np.float32)


def cross_entropies(
    logits: np.ndarray, targets: np.ndarray, temperature: float = 1.0
) -> np.ndarray:
    """Return the cross-entropy of each row's target, in float64.

    Args:
        logits: of shape [rows, classes].
        targets: the position of each row's class, of shape [rows].
        temperature: the number that the logits are divided by.
    """
    shifted = logits.astype(np.float64) / temperature
    shifted -= shifted.max(axis=1, keepdims=True)
    losses: np.ndarray = (
        np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]
    )
    return losses
