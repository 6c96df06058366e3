"""Learned scales of keys, values and feed-forward activations.

(IA)³, Liu et al. 2022 (arXiv 2205.05638), section 3.3: three vectors per layer, initially one.
They multiply the outputs of the key and value projections, and the input of the projection back
to the hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from taskbank.backbone.adaptation import Adaptation, OutputChange
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.copies import add_nested
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import layers


class Scale(torch.nn.Module):
    """A vector that multiplies activations.

    Args:
        width: the activations' size.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(width))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return activations [..., width] multiplied by their scales."""
        return states * self.scale


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return scales for a backbone, initially one; see `Method.adapt`."""
    architecture = backbone.architecture
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    scales = torch.nn.Module()
    # If an architecture computes keys and values in one projection, they share a vector.
    scaled_outputs = dict.fromkeys(architecture.projections[name] for name in ("key", "value"))
    for layer_number in chosen:
        layer: Any = backbone.model.get_submodule(backbone.layer(layer_number))
        for path in scaled_outputs:
            projection = layer.get_submodule(path)
            scale = Scale(projection.out_features).to(backbone.device)
            adaptation.change_output(
                f"{backbone.layer(layer_number)}.{path}", _apply_to_output(scale)
            )
            add_nested(scales, f"{layer_number}.{path}", scale)
        path = architecture.projections["down"]
        projection = layer.get_submodule(path)
        scale = Scale(projection.in_features).to(backbone.device)
        adaptation.change_input(f"{backbone.layer(layer_number)}.{path}", scale)
        add_nested(scales, f"{layer_number}.{path}", scale)
    adaptation.add("ia3", scales)
    return adaptation


def merge(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    """Return the projections with their inputs or outputs scaled; see `Method.merge`."""
    backbone, weights = adaptation.backbone, {}
    for name, module in adaptation.modules["ia3"].named_modules():
        if isinstance(module, Scale):
            path, scale = f"{backbone.architecture.layers}.{name}", module.scale.double()
            projection: Any = backbone.module(path)
            weight, bias = projection.weight, projection.bias
            of_input = name.partition(".")[2] == backbone.architecture.projections["down"]
            scaled = weight.double() * (scale if of_input else scale[:, None])
            weights[f"{path}.weight"] = scaled.to(weight.dtype)
            if bias is not None and not of_input:
                weights[f"{path}.bias"] = (bias.double() * scale).to(bias.dtype)
    return weights


def _apply_to_output(scale: torch.nn.Module) -> OutputChange:
    return lambda _states, output: scale(output)


IA3 = Method(
    name="ia3",
    summary="scales of keys, values and feed-forward activations",
    options={"layers": layers()},
    adapt=adapt,
    rate=1e-2,
    merge=merge,
)
