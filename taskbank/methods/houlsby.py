"""The adapters of Houlsby et al. 2019, section 2 and figure 2.

Each layer has two adapters, one after each sublayer's projection back to the hidden size (and its
dropout), before the residual is added. The LayerNorms are trained as well, unless
`layernorms=frozen`, which leaves adapters that other libraries can hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.bottleneck import add_serial, bottleneck_options
from taskbank.methods.copies import TRAINED, layernorms, replace_layernorms
from taskbank.methods.method import Method


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return untrained adapters, and copies of the LayerNorms if they are trained.

    Args:
        backbone: the frozen backbone.
        options: complete options, as `Method.complete` returns them.
        generator: the source of the initial values, or None.

    Raises:
        InputError: if the backbone lacks the layers.
    """
    adaptation = Adaptation(backbone)
    places = ("attention", "feed_forward")
    adaptation.add("adapter", add_serial(adaptation, places, options, generator))
    replace_layernorms(adaptation, options, default=TRAINED)
    return adaptation


HOULSBY = Method(
    name="houlsby",
    summary="two adapters per layer, LayerNorms",
    options=bottleneck_options(size=64, activation="gelu") | {"layernorms": layernorms(TRAINED)},
    adapt=adapt,
    rate=1e-3,
)
