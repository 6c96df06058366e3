"""How well vectors explain targets: the evidence of a linear model, and its cross-validation.

You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
algorithm 1: the weights have the prior N(0, 1/alpha), the targets the noise N(0, 1/beta), and both
are chosen so that the evidence is largest. Nothing is trained and nothing has to be tuned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("single", "pair", "regression")  # those with one target per input
STEPS = 100  # at most; a handful is enough in general
TOLERANCE = 1e-3  # relative change of alpha / beta
LEAST = 1e-12  # keeps the ratios finite where vectors explain all or nothing


@dataclass(frozen=True)
class Fit:
    """A linear model of largest evidence.

    Attributes:
        evidence: the logarithm of the evidence per example, the mean over the targets.
        coefficients: of the examples, float64 [examples, targets]: the mean of the posterior of the
            weights is the sum of the examples' vectors, each times its coefficient.
    """

    evidence: float
    coefficients: np.ndarray


def fit(vectors: np.ndarray, targets: np.ndarray) -> Fit:
    """Return the linear model of largest evidence, one for every column of targets.

    The time grows with the cube of the number of examples, and only linearly with the width.

    Args:
        vectors: of shape [examples, width].
        targets: of shape [examples, targets]; a column of zeros has no evidence.
    """
    count = len(vectors)
    vectors = vectors.astype(np.float64)
    # Of the vectors' products, which takes a third of the time of a decomposition of the vectors.
    values, left = np.linalg.eigh(vectors @ vectors.T)
    energy = np.maximum(values, 0)[:, None]
    projected = left.T @ targets
    alpha, beta = np.ones(targets.shape[1]), np.ones(targets.shape[1])
    for _ in range(STEPS):
        ratio = alpha / beta
        effective = (energy / (energy + ratio)).sum(axis=0)
        norm = (energy * projected**2 / (energy + ratio) ** 2).sum(axis=0)
        error = (ratio**2 * projected**2 / (energy + ratio) ** 2).sum(axis=0)
        alpha = np.maximum(effective, LEAST) / np.maximum(norm, LEAST)
        beta = np.maximum(count - effective, LEAST) / np.maximum(error, LEAST)
        if np.all(np.abs(alpha / beta - ratio) <= TOLERANCE * ratio):
            break
    ratio = alpha / beta
    norm = (energy * projected**2 / (energy + ratio) ** 2).sum(axis=0)
    error = (ratio**2 * projected**2 / (energy + ratio) ** 2).sum(axis=0)
    evidence = (
        count * np.log(alpha)  # those of directions without energy cancel
        + count * np.log(beta)
        - beta * error
        - alpha * norm
        - np.log(alpha + beta * energy).sum(axis=0)
        - count * np.log(2 * np.pi)
    ) / (2 * count)
    used = targets.any(axis=0)
    coefficients = left @ (projected / (energy + ratio))
    return Fit(float(evidence[used].mean()) if used.any() else 0.0, coefficients)


def evidence(vectors: np.ndarray, targets: np.ndarray) -> float:
    """Return LogME, the evidence of a linear model with a bias: the larger, the better.

    Args:
        vectors: of shape [examples, width].
        targets: of shape [examples, targets].
    """
    return fit(vectors - vectors.mean(axis=0), targets - targets.mean(axis=0)).evidence


def probe(vectors: np.ndarray, targets: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Return what a linear probe that was fitted on the other folds predicts of each example.

    Args:
        vectors: of shape [examples, width].
        targets: of shape [examples, targets].
        fold_of: the fold of each example, from 0.

    Returns:
        float64 predictions of the shape of the targets.
    """
    predictions = np.empty(targets.shape)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        center, mean = vectors[~inside].mean(axis=0), targets[~inside].mean(axis=0)
        others = vectors[~inside] - center
        weights = others.T @ fit(others, targets[~inside] - mean).coefficients
        predictions[inside] = (vectors[inside] - center) @ weights + mean
    return predictions
