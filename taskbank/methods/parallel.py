"""An adapter beside the feed-forward sublayer of each layer.

The scaled parallel adapter of He et al. 2022, Towards a Unified View of Parameter-Efficient
Transfer Learning (arXiv 2110.04366), section 3.3: `ffn(x) + scale · up(relu(down(x)))`, where
`x` is what the sublayer takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from taskbank.backbone import Backbone
from taskbank.methods.bottleneck import Bottleneck, bottleneck_options
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Attachment
from taskbank.methods.options import Option, complete, number
from taskbank.specs import Json

OPTIONS = bottleneck_options(size=64, activation="relu") | {"scale": Option(4.0, number(0, 1000))}


class Parallel:
    """One parallel adapter a layer."""

    name = "parallel"
    stored = True

    def options(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its value.

        Args:
            given: any of `size` (64), `init_std` (0.01), `activation` (`relu`), `scale` (4, as
                in the paper) and `layers`.

        Raises:
            InputError: if one is unknown or out of range.
        """
        return complete(self.name, OPTIONS, given)

    def attach(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator
    ) -> Attachment:
        """Put untrained adapters onto a backbone; see `taskbank.methods.method.Method`."""
        places = backbone.architecture
        chosen = select_layers(options["layers"], backbone.identity.layers)
        attachment = Attachment(backbone)
        adapters = torch.nn.ModuleDict()
        stack: Any = backbone.model.get_submodule(places.layers)
        for layer_number in chosen:
            layer = stack[layer_number]
            adapter = Bottleneck(backbone.identity.hidden_size, options, generator)
            adapter.to(backbone.device)
            entrance = layer.get_submodule(places.projections["up"])
            _put_beside(
                attachment,
                entrance,
                layer.get_submodule(places.feed_forward),
                adapter,
                options["scale"],
            )
            adapters[str(layer_number)] = adapter
        attachment.add("adapter", adapters)
        return attachment


def _put_beside(
    attachment: Attachment,
    entrance: torch.nn.Module,
    exit_: torch.nn.Module,
    adapter: torch.nn.Module,
    scale: float,
) -> None:
    """Add what an adapter makes of a sublayer's input to the sublayer's output."""
    taken: list[torch.Tensor] = []  # between the sublayer's entrance and its exit

    def take(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        taken[:] = inputs[:1]

    def give(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        widened: torch.Tensor = output + scale * adapter(taken.pop())
        return widened

    attachment.undo_with(entrance.register_forward_pre_hook(take).remove)
    attachment.undo_with(exit_.register_forward_hook(give).remove)


PARALLEL = Parallel()
