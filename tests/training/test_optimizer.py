"""The optimizer of trainings."""

from __future__ import annotations

import torch

from taskbank.specs import TrainingSpec
from taskbank.training.optimizer import Optimizer


def test_weight_decay_pulls_matrices_only() -> None:
    """Without a gradient, decay makes a matrix smaller and leaves a vector as it is."""
    matrix, vector = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2,)))
    optimizer = Optimizer([matrix, vector], TrainingSpec(weight_decay=0.1, warmup=0.0), 2)
    matrix.grad, vector.grad = torch.zeros(2, 2), torch.zeros(2)
    optimizer.step()
    assert (matrix < 1).all()
    assert (vector == 1).all()


def test_the_rate_rises_then_falls_to_zero() -> None:
    """With a fifth of ten steps as warm-up, the peak is after two steps, and zero after ten."""
    vector = torch.nn.Parameter(torch.zeros(1))
    optimizer = Optimizer([vector], TrainingSpec(learning_rate=1e-2, warmup=0.2), 10)
    rates = [optimizer.state()[1][0]["lr"]]
    for _ in range(10):
        vector.grad = torch.ones(1)
        optimizer.step()
        rates.append(optimizer.state()[1][0]["lr"])
    assert rates[0] == 0
    assert max(rates) == rates[2] == 1e-2
    assert rates[10] == 0
