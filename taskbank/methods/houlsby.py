"""The adapters of Houlsby et al. 2019, section 2 and figure 2.

Two in each layer, after the projection back to the hidden size (and its dropout) of each
sublayer, before the residual is added. Trained with them: the LayerNorms.
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
from taskbank.methods.options import complete

OPTIONS = bottleneck_options(size=64, activation="gelu")


class Houlsby:
    """Two serial adapters a layer, and the LayerNorms."""

    name = "houlsby"
    stored = True

    def options(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its value.

        Args:
            given: any of `size` (64; the paper has 8 to 256), `init_std` (0.01 as in the
                paper; its code has 0.001), `activation` (`gelu`, `relu` or `tanh`) and
                `layers` (`all`).

        Raises:
            InputError: if one is unknown or out of range.
        """
        return complete(self.name, OPTIONS, given)

    def adapt(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
    ) -> Adaptation:
        """Return untrained adapters and copies of the LayerNorms.

        Args:
            backbone: frozen.
            options: complete, as `options` gives them.
            generator: gives the initial values.

        Raises:
            InputError: if the backbone does not have the layers.
        """
        chosen = select_layers(options["layers"], backbone.identity.layers)
        adaptation = Adaptation(backbone)
        places = ("attention", "feed_forward")
        adaptation.add("adapter", add_serial(adaptation, places, options, generator))
        norms = layernorm_paths(backbone, chosen)
        adaptation.add("layernorm", replace_modules(adaptation, norms))
        return adaptation


HOULSBY = Houlsby()
