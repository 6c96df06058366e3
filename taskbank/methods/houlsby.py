"""The adapters of Houlsby et al. 2019, section 2 and figure 2.

Two in each layer, after the projection back to the hidden size (and its dropout) of each
sublayer, before the residual is added. Trained with them: every LayerNorm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from taskbank.backbone import Backbone
from taskbank.errors import InputError
from taskbank.methods.layernorms import replace_layernorms
from taskbank.methods.method import Attachment
from taskbank.specs import Json

LARGEST_SIZE = 8192

Activation = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS: dict[str, Activation] = {
    # The paper says only "nonlinearity"; its code has this approximation of GELU.
    "gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "relu": torch.nn.functional.relu,
    "tanh": torch.tanh,
}


class Adapter(torch.nn.Module):
    """A bottleneck with a skip connection: `x + up(activation(down(x)))`.

    Its 2·m·d + d + m parameters start near zero, so that it starts as the identity.

    Args:
        width: d, the size of the hidden states.
        size: m, the size of the bottleneck.
        std: of the truncated normal that the matrices start from, cut at two of it.
        activation: the nonlinearity.
        generator: gives the initial values.
    """

    def __init__(
        self, width: int, size: int, std: float, activation: Activation, generator: torch.Generator
    ) -> None:
        super().__init__()
        # Made without values first: torch would draw them from the global generator.
        self.down = torch.nn.Linear(width, size, device="meta").to_empty(device="cpu")
        self.up = torch.nn.Linear(size, width, device="meta").to_empty(device="cpu")
        self.activation = activation
        with torch.no_grad():
            for layer in (self.down, self.up):
                torch.nn.init.trunc_normal_(
                    layer.weight, 0.0, std, -2 * std, 2 * std, generator=generator
                )
                layer.bias.zero_()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the adapted hidden states, of the same shape [batch, tokens, width]."""
        adapted: torch.Tensor = states + self.up(self.activation(self.down(states)))
        return adapted


class Houlsby:
    """Two serial adapters a layer, and the LayerNorms."""

    name = "houlsby"

    def options(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its value.

        Args:
            given: any of `size` (64; the paper has 8 to 256), `init_std` (0.01 as in the
                paper; its code has 0.001) and `activation` (`gelu`, `relu` or `tanh`).

        Raises:
            InputError: if one is unknown or out of range.
        """
        options = {"size": 64, "init_std": 0.01, "activation": "gelu"}
        unknown = sorted(set(given) - set(options))
        if unknown:
            raise InputError(
                f"method houlsby has no option {unknown[0]!r}: it has {', '.join(options)}"
            )
        options |= given
        size, std, activation = options["size"], options["init_std"], options["activation"]
        if type(size) is not int or not 1 <= size <= LARGEST_SIZE:
            raise InputError(
                f"size is {size!r}: an adapter has a whole number of units, from 1 to "
                f"{LARGEST_SIZE}; the paper has 8 to 256"
            )
        if type(std) not in (int, float) or not 0 < std <= 1:  # type: ignore[operator]
            raise InputError(f"init_std is {std!r}: it must be a number above 0, at most 1")
        if activation not in ACTIVATIONS:
            raise InputError(f"activation is {activation!r}: use {', '.join(ACTIVATIONS)}")
        return {**options, "init_std": float(std)}  # type: ignore[arg-type]

    def attach(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator
    ) -> Attachment:
        """Put untrained adapters and copies of the LayerNorms onto a backbone.

        Args:
            backbone: frozen, and carrying nothing.
            options: complete, as `options` gives them.
            generator: gives the initial values.
        """
        places = backbone.architecture
        adapters = torch.nn.ModuleDict()
        attachment = Attachment(backbone, torch.nn.ModuleDict({"adapter": adapters}))
        layers: Any = backbone.model.get_submodule(places.layers)
        for number, layer in enumerate(layers):
            pair = torch.nn.ModuleDict()
            for place, path in (
                ("attention", places.attention),
                ("feed_forward", places.feed_forward),
            ):
                adapter = Adapter(
                    backbone.identity.hidden_size,
                    options["size"],
                    options["init_std"],
                    ACTIVATIONS[options["activation"]],
                    generator,
                ).to(backbone.device)
                attachment.undo_with(_hook(layer.get_submodule(path), adapter))
                pair[place] = adapter
            adapters[str(number)] = pair
        attachment.modules.add_module("layernorm", replace_layernorms(attachment))
        return attachment


def _hook(module: torch.nn.Module, adapter: Adapter) -> Callable[[], None]:
    handle = module.register_forward_hook(lambda _module, _inputs, output: adapter(output))
    return handle.remove


HOULSBY = Houlsby()
