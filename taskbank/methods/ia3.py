"""Learned scales of keys, values and feed-forward activations.

(IA)³, Liu et al. 2022 (arXiv 2205.05638), section 3.3: three vectors a layer that start at
one. They multiply what the key and the value projections give, and what the projection back
to the hidden size takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from taskbank.backbone.adaptation import Adaptation, After
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.copies import add_nested
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import layers


class Scale(torch.nn.Module):
    """A vector that multiplies activations.

    Args:
        width: of the activations.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(width))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return activations [..., width], each multiplied by its scale."""
        return states * self.scale


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return scales of one for a backbone; see `Method.adapt`."""
    places = backbone.architecture
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    scales = torch.nn.Module()
    # Where an architecture computes keys and values at once, they share a vector.
    outgoing = dict.fromkeys(places.projections[name] for name in ("key", "value"))
    for layer_number in chosen:
        layer: Any = backbone.model.get_submodule(backbone.layer(layer_number))
        for path in outgoing:
            projection = layer.get_submodule(path)
            scale = Scale(projection.out_features).to(backbone.device)
            adaptation.after(f"{backbone.layer(layer_number)}.{path}", _of_output(scale))
            add_nested(scales, f"{layer_number}.{path}", scale)
        path = places.projections["down"]
        projection = layer.get_submodule(path)
        scale = Scale(projection.in_features).to(backbone.device)
        adaptation.before(f"{backbone.layer(layer_number)}.{path}", scale)
        add_nested(scales, f"{layer_number}.{path}", scale)
    adaptation.add("ia3", scales)
    return adaptation


def _of_output(scale: torch.nn.Module) -> After:
    return lambda _states, output: scale(output)


IA3 = Method(
    name="ia3",
    summary="scales of keys, values and feed-forward activations",
    options={"layers": layers()},
    adapt=adapt,
    rate=1e-2,
)
