"""Fine-tuning of all layers or the top layers: the baselines of Houlsby et al. 2019, section 3.

Only copies are trained, so the backbone stays unchanged for every other task.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.copies import replace_modules
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import layers as layers_option


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return trainable copies of whole layers and of the modules above them.

    With all layers selected, everything is copied, embeddings included. See `Method.adapt`.
    """
    chosen = select_layers(options["layers"], backbone.identity.layers)
    layers = [backbone.layer(number) for number in chosen]
    if len(chosen) == backbone.identity.layers:
        children = [name for name, _ in backbone.model.named_children()]
        # A bare list of layers has no forward of its own, so its layers are copied one by one.
        bare = backbone.architecture.layers
        paths = [p for name in children for p in (layers if name == bare else [name])]
    else:
        present = dict(backbone.model.named_children())
        above = [path for path in backbone.architecture.top if path in present]
        paths = [*layers, *above]
    adaptation = Adaptation(backbone, supports_mixing=False)
    adaptation.add("model", replace_modules(adaptation, paths))
    return adaptation


def merge(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    """Return the copied layers and modules; see `Method.merge`."""
    return adaptation.modules["model"].state_dict()


FULL = Method(
    name="full",
    summary="a copy of everything: a baseline",
    options={"layers": layers_option("all")},
    adapt=adapt,
    rate=1e-4,
    stored=False,
    merge=merge,
)
TOP_K = Method(
    name="top-k",
    summary="copies of the top layers: a baseline",
    options={"layers": layers_option("top:1")},
    adapt=adapt,
    rate=3e-4,
    merge=merge,
)
