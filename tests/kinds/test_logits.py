"""Probabilities of logits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskbank.kinds.definition import Definition
from taskbank.kinds.logits import log_mean_softmax, logit_of_mean, softmax
from taskbank.kinds.single import SINGLE


def test_probabilities_are_a_stable_softmax() -> None:
    """Large logits neither overflow nor stop summing to one."""
    found = softmax(np.array([[1000.0, 999.0], [-1000.0, 0.0]], dtype=np.float32))
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert found[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))
    logits = np.array([[1000.0, 999.0], [-1000.0, 0.0]], dtype=np.float32)
    answers = SINGLE.answers(logits, {}, Definition(("a", "b")))
    assert [one["label"] for one in answers] == ["a", "b"]
    assert answers[0]["probabilities"] == {
        "a": pytest.approx(found[0, 0]),
        "b": pytest.approx(1 - found[0, 0]),
    }


def test_combined_logits_are_those_of_the_mean_probabilities() -> None:
    """Also of logits that are far apart; equal logits stay as they are."""
    chance = np.random.default_rng(0)
    logits = [chance.normal(0, 30, (50, 4)).astype(np.float32) for _ in range(3)]
    found = log_mean_softmax(logits)
    assert found.dtype == np.float32
    mean = np.mean([softmax(one) for one in logits], axis=0)
    np.testing.assert_allclose(softmax(found), mean, atol=1e-5)
    np.testing.assert_allclose(log_mean_softmax([logits[0]] * 3), logits[0], rtol=1e-5, atol=1e-5)


def test_the_logit_of_mean_probabilities_is_stable() -> None:
    """It has their sigmoid, and stays finite where probabilities round to 0 or 1."""
    logits = [np.array([[2.0, -1.0, 300.0]]), np.array([[0.0, -5.0, 200.0]])]
    found = logit_of_mean([one.astype(np.float32) for one in logits])
    assert found.dtype == np.float32
    mean = np.mean([1 / (1 + np.exp(-one)) for one in logits], axis=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-found.astype(float))), mean, rtol=1e-6)
    assert found[0, 2] == pytest.approx(200 + math.log(2))
