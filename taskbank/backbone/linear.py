"""Linear layers whose values are set by someone else."""

from __future__ import annotations

import torch


def unfilled_linear(inputs: int, outputs: int) -> torch.nn.Linear:
    """Return a linear layer in memory whose values are not set.

    torch's own layers draw their values from the global generator, and its way around that
    imports sympy.

    Args:
        inputs: size of what goes in.
        outputs: size of what comes out.
    """
    layer = torch.nn.Linear(inputs, outputs, device="meta")
    layer.weight = torch.nn.Parameter(torch.empty(outputs, inputs))
    layer.bias = torch.nn.Parameter(torch.empty(outputs))
    return layer
