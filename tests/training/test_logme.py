"""LogME against the definition of the evidence, and the probe against what it must find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from taskbank.training.logme import evidence, fit, probe

GENERATOR = np.random.default_rng(0)


def _log_evidence(vectors: np.ndarray, targets: np.ndarray, alpha: float, beta: float) -> float:
    """Return the evidence per example, from the distribution of the targets itself."""
    covariance = np.eye(len(vectors)) / beta + vectors @ vectors.T / alpha
    return float(multivariate_normal(cov=covariance).logpdf(targets)) / len(vectors)


@pytest.mark.parametrize("width", [5, 60])
def test_the_evidence_is_the_largest_of_all(width: int) -> None:
    """With fewer dimensions than examples and with more, no alpha and beta of a grid give the
    targets a larger probability, and some of it give nearly the same."""
    vectors = GENERATOR.normal(size=(40, width))
    targets = vectors @ GENERATOR.normal(size=width) + 2 * GENERATOR.normal(size=40)
    found = fit(vectors, targets[:, None]).evidence
    grid = [
        _log_evidence(vectors, targets, alpha, beta)
        for alpha in np.geomspace(0.01, 100, 33)
        for beta in np.geomspace(0.01, 100, 33)
    ]
    assert max(grid) - 1e-4 <= found <= max(grid) + 0.02


def test_several_targets_have_the_mean_evidence() -> None:
    """Each column is fitted alone, and one of zeros, a class without examples, counts nothing."""
    vectors, targets = GENERATOR.normal(size=(30, 4)), GENERATOR.normal(size=(30, 2))
    alone = [fit(vectors, targets[:, [column]]).evidence for column in (0, 1)]
    with_zeros = np.column_stack([targets, np.zeros(30)])
    assert fit(vectors, targets).evidence == pytest.approx(np.mean(alone), abs=1e-3)
    assert fit(vectors, with_zeros).evidence == pytest.approx(np.mean(alone), abs=1e-3)


def test_the_evidence_follows_neither_scale_nor_place() -> None:
    """Vectors that are longer, or lie elsewhere, tell no more about the targets."""
    vectors, targets = GENERATOR.normal(size=(50, 6)), GENERATOR.normal(size=(50, 1))
    value = evidence(vectors, targets)
    assert evidence(100 * vectors + 7, targets + 3) == pytest.approx(value, abs=1e-3)


def test_vectors_that_tell_more_have_more_evidence() -> None:
    """With less noise between vectors and targets the evidence rises, and so does the probe."""
    vectors = GENERATOR.normal(size=(200, 20))
    signal = vectors @ GENERATOR.normal(size=(20, 1))
    fold_of = np.arange(200) % 5
    values, errors = [], []
    for noise in (0.1, 1, 10, 100):
        targets = signal + noise * GENERATOR.normal(size=signal.shape)
        targets /= targets.std()
        values.append(evidence(vectors, targets))
        errors.append(float(((probe(vectors, targets, fold_of) - targets) ** 2).mean()))
    assert values == sorted(values, reverse=True)
    assert errors == sorted(errors)


def test_the_probe_has_not_seen_what_it_predicts() -> None:
    """Of targets that are noise it explains nothing, although as many dimensions as examples fit
    all that they have seen; extreme inputs give finite numbers."""
    vectors, targets = GENERATOR.normal(size=(100, 100)), GENERATOR.normal(size=(100, 1))
    error = ((probe(vectors, targets, np.arange(100) % 5) - targets) ** 2).mean()
    assert error > 0.8 * targets.var()
    for constant in (np.zeros((100, 3)), np.ones((100, 3))):
        assert np.isfinite(evidence(constant, targets))
    assert np.isfinite(evidence(vectors, vectors[:, :1]))
