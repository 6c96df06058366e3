"""Arithmetic on logits: softmax, margins and changes of the largest logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass


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
