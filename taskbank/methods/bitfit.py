"""The biases only: BitFit, Ben Zaken et al. 2022 (arXiv 2106.10199), section 3."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation, After
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
        original: the bias of the backbone.
    """

    def __init__(self, original: torch.Tensor) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(original.detach().clone())


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return trainable copies of the biases; see `Method.adapt`.

    Raises:
        InputError: if the backbone does not have the layers, or no biases in them.
    """
    chosen = select_layers(options["layers"], backbone.identity.layers)
    inside = tuple(f"{backbone.layer(number)}." for number in chosen)
    norms = set(layernorm_paths(backbone, chosen))
    paths = [
        path
        for path, module in backbone.model.named_modules()
        if isinstance(getattr(module, "bias", None), torch.nn.Parameter)
        and (path in norms or path.startswith(inside) or backbone.is_above(path))
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
        own = Bias(original.bias).to(backbone.device)
        adaptation.after(path, _with_bias(original.bias, own))
        add_nested(biases, path, own)
    adaptation.add("bias", biases)
    return adaptation


def _with_bias(original: torch.Tensor, own: Bias) -> After:
    """Return what makes a module's output one with another bias: the product stays the same."""
    return lambda _states, output: output + (own.bias - original)


BITFIT = Method(
    name="bitfit",
    summary="the biases",
    options={"layers": layers()},
    adapt=adapt,
    rate=3e-3,
)
