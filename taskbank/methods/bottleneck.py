"""The bottleneck that adapters are made of, and where it is put."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from taskbank.backbone.adaptation import Adaptation, After
from taskbank.backbone.linear import unfilled_linear
from taskbank.digests import Json
from taskbank.methods.layers import select_layers
from taskbank.methods.options import Option, layers, number, one_of, whole

Activation = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS: dict[str, Activation] = {
    # The paper says only "nonlinearity"; its code has this approximation of GELU.
    "gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "relu": torch.nn.functional.relu,
    "tanh": torch.tanh,
}


def bottleneck_options(size: int, activation: str) -> dict[str, Option]:
    """Return the options of a method made of bottlenecks, given its defaults."""
    return {
        "size": Option(
            size, whole(1, 8192, "; Houlsby et al. have 8 to 256"), "width of the bottleneck"
        ),
        "init_std": Option(
            0.01,
            number(0, 1),
            "standard deviation of the initial values (0.001 in the paper's code)",
        ),
        "activation": Option(activation, one_of(tuple(ACTIVATIONS)), f"{', '.join(ACTIVATIONS)}"),
        "layers": layers(),
    }


class Bottleneck(torch.nn.Module):
    """`up(activation(down(x)))`: 2·m·d + d + m parameters that start near zero.

    Args:
        width: d, the size of the hidden states.
        options: `size` (m), `init_std` (of the truncated normal that the matrices start from,
            cut at two of it) and `activation`.
        generator: gives the initial values.
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
        """Return what is added to the hidden states, of the same shape [..., width]."""
        added: torch.Tensor = self.up(self.activation(self.down(states)))
        return added


class Adapter(Bottleneck):
    """A bottleneck with a skip connection, which starts near the identity."""

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

    Each takes what a sublayer gives (after its projection and dropout) and gives what is
    added to the residual: section 2 and figure 2 of Houlsby et al. 2019.

    Args:
        adaptation: of the task.
        places: `attention`, `feed_forward` or both.
        options: of the bottleneck, and `layers`.
        generator: gives the initial values.

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
            adaptation.after(f"{backbone.layer(layer_number)}.{path}", _of_output(adapter))
            group[place] = adapter
        adapters[str(layer_number)] = group
    return adapters


def _of_output(adapter: torch.nn.Module) -> After:
    return lambda _states, output: adapter(output)
