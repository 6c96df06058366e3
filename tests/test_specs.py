"""Specifications refuse values out of range."""

from __future__ import annotations

from typing import Any

import pytest

from taskbank.errors import InputError
from taskbank.specs import TrainingSpec


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"max_length": 2},
        {"patience": 0},
        {"weight_decay": -1},
        {"warmup": 2},
        {"clip": 0},
        {"seed": -1},
        {"class_weight": "even"},
    ],
)
def test_a_hyperparameter_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    """Each hyperparameter has a range, and its error names it and the value."""
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} is"):
        TrainingSpec(**wrong)
