"""The adapters of Houlsby et al. 2019, section 2 and figure 2.

Each layer has two adapters, one after each sublayer's projection back to the hidden size (and its
dropout), before the residual is added. The LayerNorms are trained as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.bottleneck import add_serial, bottleneck_options
from taskbank.methods.copies import layernorm_paths, replace_modules
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return untrained adapters and copies of the LayerNorms.

    Args:
        backbone: the frozen backbone.
        options: complete options, as `Method.complete` returns them.
        generator: the source of the initial values, or None.

    Raises:
        InputError: if the backbone lacks the layers.
    """
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    places = ("attention", "feed_forward")
    adaptation.add("adapter", add_serial(adaptation, places, options, generator))
    norms = layernorm_paths(backbone, chosen)
    adaptation.add("layernorm", replace_modules(adaptation, norms))
    return adaptation


HOULSBY = Method(
    name="houlsby",
    summary="two adapters per layer, LayerNorms",
    options=bottleneck_options(size=64, activation="gelu"),
    adapt=adapt,
    rate=1e-3,
)
