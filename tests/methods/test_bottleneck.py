"""The bottleneck that three methods share."""

from __future__ import annotations

import pytest
import torch

from taskbank.methods.bottleneck import Adapter
from taskbank.methods.houlsby import HOULSBY


def test_an_adapter_computes_what_figure_2_draws() -> None:
    """The output is x + up(gelu(down(x))), computed here by hand."""
    adapter = Adapter(
        6, HOULSBY.complete({"size": 3, "init_std": 0.5}), torch.Generator().manual_seed(0)
    )
    x = torch.randn(2, 5, 6)
    down = x @ adapter.down.weight.T + adapter.down.bias
    inner = 0.5 * down * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (down + 0.044715 * down**3)))
    torch.testing.assert_close(adapter(x), x + inner @ adapter.up.weight.T + adapter.up.bias)


def test_the_start_is_a_normal_cut_at_two_standard_deviations() -> None:
    """Weights have the spread that was asked for and none lies beyond two of it; biases are 0."""
    adapter = Adapter(256, HOULSBY.complete({}), torch.Generator().manual_seed(0))
    weights = torch.cat([adapter.down.weight.flatten(), adapter.up.weight.flatten()])
    assert weights.abs().max() <= 0.02
    # A normal cut at two standard deviations has 0.88 of its spread.
    assert weights.std().item() == pytest.approx(0.0088, rel=0.03)
    assert not adapter.down.bias.any()
    assert not adapter.up.bias.any()
