"""Trains only the biases: BitFit, Ben Zaken et al. 2022 (arXiv 2106.10199), section 3."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation, OutputChange
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.methods.copies import add_nested, layernorm_paths
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import layers


class Bias(torch.nn.Module):
    """The trainable copy of a module's bias.

    Args:
        original: the backbone's bias.
    """

    def __init__(self, original: torch.Tensor) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(original.detach().clone())


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return trainable copies of the biases; see `Method.adapt`.

    Raises:
        InputError: if the backbone lacks the layers, or biases in them.
    """
    numbers = select_layers(options["layers"], backbone.identity.layers)
    layer_prefixes = tuple(f"{backbone.layer(number)}." for number in numbers)
    norms = set(layernorm_paths(backbone, numbers))
    paths = [
        path
        for path, module in backbone.model.named_modules()
        if isinstance(getattr(module, "bias", None), torch.nn.Parameter)
        and (path in norms or path.startswith(layer_prefixes) or backbone.is_above(path))
    ]
    if not paths:
        raise InputError(
            f"method bitfit trains biases, and {backbone.identity.spec!r} "
            f"({backbone.identity.model_type}) has none: use another method"
        )
    adaptation = Adaptation(backbone)
    biases = torch.nn.Module()
    for path in paths:
        original = backbone.model.get_submodule(path)
        copy = Bias(original.bias).to(backbone.device)
        adaptation.change_output(path, _replace_bias(original.bias, copy))
        add_nested(biases, path, copy)
    adaptation.add("bias", biases)
    return adaptation


def merge(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    """Return the biases; see `Method.merge`."""
    return adaptation.modules["bias"].state_dict()


def _replace_bias(original: torch.Tensor, copy: Bias) -> OutputChange:
    """Return an output change that replaces a module's bias without recomputing its product."""
    return lambda _states, output: output + (copy.bias - original)


BITFIT = Method(
    name="bitfit",
    summary="the biases",
    options={"layers": layers()},
    adapt=adapt,
    rate=3e-3,
    merge=merge,
)
