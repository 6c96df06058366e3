"""Arithmetic on logits: softmax, margins, and where the largest one changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass


def other_class(reference: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return in which rows another class has the largest logit, and the reference's margin.

    Args:
        reference: logits of shape [rows, classes].
        predictions: of the same shape; a row with what is no number has changed.

    Returns:
        two arrays of shape [rows]: whether it changed, and `Changes.margin`.
    """
    before, after = reference.argmax(axis=1), predictions.argmax(axis=1)
    broken = ~np.isfinite(predictions).all(axis=1)
    every = np.arange(len(reference))
    with np.errstate(invalid="ignore"):
        margin = np.where(broken, np.inf, reference[every, before] - reference[every, after])
    return (before != after) | broken, margin


def lead(logits: np.ndarray) -> np.ndarray:
    """Return by how much the largest logit of each row exceeds the second largest."""
    highest = np.partition(logits, -2, axis=1)
    return np.asarray(highest[:, -1] - highest[:, -2])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    shares: np.ndarray = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares
