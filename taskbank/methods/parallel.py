"""An adapter beside the feed-forward sublayer of each layer.

The scaled parallel adapter of He et al. 2022, Towards a Unified View of Parameter-Efficient
Transfer Learning (arXiv 2110.04366), section 3.3: `ffn(x) + scale · up(relu(down(x)))`, where
`x` is what the sublayer takes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation, After, Before
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.bottleneck import Bottleneck, bottleneck_options
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import Option, number


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return untrained adapters for a backbone; see `Method.adapt`."""
    places = backbone.architecture
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    adapters = torch.nn.ModuleDict()
    for layer_number in chosen:
        adapter = Bottleneck(backbone.identity.hidden_size, options, generator)
        adapter.to(backbone.device)
        layer = backbone.layer(layer_number)
        entrance, exit_ = places.projections["up"], places.feed_forward
        take, give = _beside(adapter, options["scale"])
        adaptation.before(f"{layer}.{entrance}", take)
        adaptation.after(f"{layer}.{exit_}", give)
        adapters[str(layer_number)] = adapter
    adaptation.add("adapter", adapters)
    return adaptation


def _beside(adapter: torch.nn.Module, scale: float) -> tuple[Before, After]:
    """Return what adds what an adapter makes of a sublayer's input to the sublayer's output."""
    taken: list[torch.Tensor] = []  # between the sublayer's entrance and its exit

    def take(states: torch.Tensor) -> torch.Tensor:
        taken[:] = [states]
        return states

    def give(_states: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        widened: torch.Tensor = output + scale * adapter(taken.pop())
        return widened

    return take, give


PARALLEL = Method(
    name="parallel",
    summary="an adapter beside the feed-forward sublayer",
    options=bottleneck_options(size=64, activation="relu")
    | {"scale": Option(4.0, number(0, 1000), "factor of what the adapter adds; 4 in the paper")},
    adapt=adapt,
    rate=1e-3,
)
