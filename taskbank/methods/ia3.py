"""Learned scales of keys, values and feed-forward activations.

(IA)³, Liu et al. 2022 (arXiv 2205.05638), section 3.3: three vectors a layer that start at
one. They multiply what the key and the value projections give, and what the projection back
to the hidden size takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from taskbank.backbone import Backbone
from taskbank.methods.copies import add_nested
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Attachment
from taskbank.methods.options import complete, layers
from taskbank.specs import Json

OPTIONS = {"layers": layers()}


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


class Ia3:
    """Three learned vectors a layer."""

    name = "ia3"
    stored = True

    def options(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its value.

        Args:
            given: maybe `layers`.

        Raises:
            InputError: if one is unknown or out of range.
        """
        return complete(self.name, OPTIONS, given)

    def attach(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator
    ) -> Attachment:
        """Put scales of one onto a backbone; see `taskbank.methods.method.Method`."""
        places = backbone.architecture
        chosen = select_layers(options["layers"], backbone.identity.layers)
        attachment = Attachment(backbone)
        scales = torch.nn.Module()
        stack: Any = backbone.model.get_submodule(places.layers)
        # Where an architecture computes keys and values at once, they share a vector.
        outgoing = dict.fromkeys(places.projections[name] for name in ("key", "value"))
        for layer_number in chosen:
            layer = stack[layer_number]
            for path in outgoing:
                projection = layer.get_submodule(path)
                scale = Scale(projection.out_features).to(backbone.device)
                _scale_output(attachment, projection, scale)
                add_nested(scales, f"{layer_number}.{path}", scale)
            path = places.projections["down"]
            projection = layer.get_submodule(path)
            scale = Scale(projection.in_features).to(backbone.device)
            _scale_input(attachment, projection, scale)
            add_nested(scales, f"{layer_number}.{path}", scale)
        attachment.add("ia3", scales)
        return attachment


def _scale_output(attachment: Attachment, module: torch.nn.Module, scale: torch.nn.Module) -> None:
    handle = module.register_forward_hook(lambda _module, _inputs, output: scale(output))
    attachment.undo_with(handle.remove)


def _scale_input(attachment: Attachment, module: torch.nn.Module, scale: torch.nn.Module) -> None:
    handle = module.register_forward_pre_hook(lambda _module, inputs: (scale(inputs[0]),))
    attachment.undo_with(handle.remove)


IA3 = Ia3()
