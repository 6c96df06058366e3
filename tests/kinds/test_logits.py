"""Probabilities of logits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskbank.kinds.definition import Definition
from taskbank.kinds.logits import softmax
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
