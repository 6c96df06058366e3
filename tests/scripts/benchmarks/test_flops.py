"""Tests of scripts/benchmarks/flops.py."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from scripts.benchmarks.flops import Encoder
from tests.helpers.backbones import make_backbone


def test_a_forward_pass_has_the_flops_that_torch_counts(tmp_path: Path) -> None:
    """The formula equals torch's count over the layers of a tiny encoder."""
    folder = make_backbone(tmp_path / "backbone")
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.arange(5, 12)[None])
    counted = sum(counter.flop_counts[f"{type(model).__name__}.encoder"].values())
    assert Encoder.at(Path(folder)).forward(7, 49) == counted


def test_layers_below_the_adapted_ones_are_counted_once() -> None:
    """With fewer adapted layers training costs less, and a further epoch omits the lower layers."""
    encoder = Encoder(hidden=8, inner=32, layers=4)
    one, two = (encoder.training(100, 1000, epochs, 1, 50) for epochs in (1, 2))
    whole = encoder.training(100, 1000, 1, 4, 50)
    assert one < whole
    assert two - one == one - encoder.forward(100, 1000, 3)
