"""Tests of taskbank/backbone/linear.py."""

from __future__ import annotations

import torch

from taskbank.backbone.linear import unfilled_linear


def test_an_unfilled_layer_draws_nothing_from_the_global_generator() -> None:
    """The layer has the shapes of torch's own, on the CPU, and the generator's state stays."""
    before = torch.get_rng_state()
    layer = unfilled_linear(3, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert (layer.weight.shape, layer.bias.shape) == ((5, 3), (5,))
    assert layer.weight.device.type == layer.bias.device.type == "cpu"
    assert layer.weight.requires_grad
    assert layer.bias.requires_grad
