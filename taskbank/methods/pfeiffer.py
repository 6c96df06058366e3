"""One serial adapter per layer, after the feed-forward sublayer.

Pfeiffer et al. 2021, AdapterFusion (arXiv 2005.00247), appendix A, found it as good as two
adapters. The LayerNorms stay frozen, as in the paper, unless `layernorms=trained`. The adapter has
the place of Houlsby's second one, before the residual is added.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.bottleneck import add_serial, bottleneck_options
from taskbank.methods.copies import FROZEN, layernorms, replace_layernorms
from taskbank.methods.method import Method


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return untrained adapters for a backbone; see `Method.adapt`."""
    adaptation = Adaptation(backbone)
    adapters = add_serial(adaptation, ("feed_forward",), options, generator)
    adaptation.add("adapter", adapters)
    replace_layernorms(adaptation, options, default=FROZEN)
    return adaptation


PFEIFFER = Method(
    name="pfeiffer",
    summary="one adapter per layer",
    options=bottleneck_options(size=64, activation="relu") | {"layernorms": layernorms(FROZEN)},
    adapt=adapt,
    rate=3e-3,
)
