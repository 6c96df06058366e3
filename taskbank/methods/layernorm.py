"""Trains only the LayerNorms: the smallest baseline of Houlsby et al. 2019, section 3.4."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.copies import layernorm_paths, replace_modules
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import layers


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return copies of the LayerNorms; see `Method.adapt`."""
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    norms = replace_modules(adaptation, layernorm_paths(backbone, chosen))
    adaptation.add("layernorm", norms)
    return adaptation


def merge(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    """Return the LayerNorms; see `Method.merge`."""
    return adaptation.modules["layernorm"].state_dict()


LAYERNORM = Method(
    name="layernorm",
    summary="the LayerNorms",
    options={"layers": layers()},
    adapt=adapt,
    rate=3e-3,
    merge=merge,
)
