"""Bottleneck modules, and their placement as adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from taskbank.backbone.adaptation import Adaptation, OutputChange
from taskbank.backbone.linear import unfilled_linear
from taskbank.digests import Json
from taskbank.methods.layers import select_layers
from taskbank.methods.options import Option, layers, number, one_of, whole
from taskbank.specs import SHORTCUTS

Activation = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS: dict[str, Activation] = {
    # The paper says only "nonlinearity"; its code uses this approximation of GELU.
    "gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "relu": torch.nn.functional.relu,
    "tanh": torch.tanh,
}


def bottleneck_options(size: int, activation: str) -> dict[str, Option]:
    """Return the options of a bottleneck method with its own default size and activation."""
    return {
        "size": Option(size, whole(1, 8192, "; Houlsby et al. use 8 to 256"), SHORTCUTS["size"]),
        "init_std": Option(
            0.01,
            number(0, 1),
            "standard deviation of the initial values (0.001 in the paper's code)",
        ),
        "activation": Option(activation, one_of(tuple(ACTIVATIONS)), f"{', '.join(ACTIVATIONS)}"),
        "layers": layers(),
    }


class Bottleneck(torch.nn.Module):
    """`up(activation(down(x)))`: 2·m·d + d + m parameters, initially near zero.

    Args:
        width: d, the size of the hidden states.
        options: `size` (m), `init_std` (the standard deviation of the truncated normal that
            initialises the matrices, cut at two deviations) and `activation`.
        generator: the source of the initial values. None leaves them unset.
    """

    def __init__(
        self, width: int, options: Mapping[str, Json], generator: torch.Generator | None
    ) -> None:
        super().__init__()
        size, std = options["size"], options["init_std"]
        self.down, self.up = unfilled_linear(width, size), unfilled_linear(size, width)
        self.activation = ACTIVATIONS[options["activation"]]
        if generator is None:
            return
        with torch.no_grad():
            for layer in (self.down, self.up):
                torch.nn.init.trunc_normal_(
                    layer.weight, 0.0, std, -2 * std, 2 * std, generator=generator
                )
                layer.bias.zero_()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the update of the hidden states, of the same shape [..., width]."""
        # Direct calls: a batch of many tasks has thousands, and modules cost as much as a product.
        linear, down, up = torch.nn.functional.linear, self.down, self.up
        added: torch.Tensor = linear(
            self.activation(linear(states, down.weight, down.bias)), up.weight, up.bias
        )
        return added


class Adapter(Bottleneck):
    """A bottleneck with a skip connection; initially it is close to the identity."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the adapted hidden states, of the same shape [..., width]."""
        return states + super().forward(states)


def add_serial(
    adaptation: Adaptation,
    places: Sequence[str],
    options: Mapping[str, Json],
    generator: torch.Generator | None,
) -> torch.nn.Module:
    """Add an untrained adapter after some sublayers of every selected layer.

    Each adapter transforms a sublayer's output, after projection and dropout and before it is
    added to the residual: section 2 and figure 2 of Houlsby et al. 2019.

    Args:
        adaptation: the task's adaptation.
        places: `attention`, `feed_forward` or both.
        options: the bottleneck's options, and `layers`.
        generator: the source of the initial values. None leaves them unset.

    Returns:
        the adapters, by layer and place.
    """
    backbone = adaptation.backbone
    adapters = torch.nn.ModuleDict()
    for layer_number in select_layers(options["layers"], backbone.identity.layers):
        group = torch.nn.ModuleDict()
        for place in places:
            path = getattr(backbone.architecture, place)
            adapter = Adapter(backbone.identity.hidden_size, options, generator)
            adapter.to(backbone.device)
            adaptation.change_output(
                f"{backbone.layer(layer_number)}.{path}", _apply_to_output(adapter)
            )
            group[place] = adapter
        adapters[str(layer_number)] = group
    return adapters


def _apply_to_output(adapter: Adapter) -> OutputChange:
    return lambda _states, output: adapter.forward(output)
