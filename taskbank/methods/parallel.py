"""An adapter parallel to the feed-forward sublayer of each layer.

The scaled parallel adapter of He et al. 2022, Towards a Unified View of Parameter-Efficient
Transfer Learning (arXiv 2110.04366), section 3.3: `ffn(x) + scale · up(relu(down(x)))`, where
`x` is the sublayer's input. The LayerNorms stay frozen, unless `layernorms=trained`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation, InputChange, OutputChange
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.bottleneck import Bottleneck, bottleneck_options
from taskbank.methods.copies import FROZEN, layernorms, replace_layernorms
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import Option, number


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return untrained adapters for a backbone; see `Method.adapt`."""
    architecture = backbone.architecture
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    adapters = torch.nn.ModuleDict()
    for layer_number in chosen:
        adapter = Bottleneck(backbone.identity.hidden_size, options, generator)
        adapter.to(backbone.device)
        layer = backbone.layer(layer_number)
        first_path, last_path = architecture.projections["up"], architecture.feed_forward
        keep_input, add_adapter = _add_parallel(adapter, options["scale"])
        adaptation.change_input(f"{layer}.{first_path}", keep_input)
        adaptation.change_output(f"{layer}.{last_path}", add_adapter)
        adapters[str(layer_number)] = adapter
    adaptation.add("adapter", adapters)
    replace_layernorms(adaptation, options, default=FROZEN)
    return adaptation


def _add_parallel(adapter: torch.nn.Module, scale: float) -> tuple[InputChange, OutputChange]:
    """Return changes that add an adapter's output for a sublayer's input to its output."""
    kept = threading.local()  # several threads may compute at the same time

    def keep_input(states: torch.Tensor) -> torch.Tensor:
        kept.inputs = states
        return states

    def add_adapter(_states: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = output + scale * adapter(kept.inputs)
        del kept.inputs
        return changed

    return keep_input, add_adapter


PARALLEL = Method(
    name="parallel",
    summary="an adapter beside the feed-forward sublayer",
    options=bottleneck_options(size=64, activation="relu")
    | {
        "scale": Option(4.0, number(0, 1000), "factor of the adapter's output; 4 in the paper"),
        "layernorms": layernorms(FROZEN),
    },
    adapt=adapt,
    rate=1e-3,
)
