"""Fine-tuning, of all layers or of the top ones: the baselines of Houlsby et al. 2019, section 3.

What is trained is a copy, so the backbone stays as it is for every other task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.copies import replace_modules
from taskbank.methods.layers import select_layers
from taskbank.methods.options import complete
from taskbank.methods.options import layers as layers_option


@dataclass(frozen=True)
class FineTuning:
    """Copies of whole layers and of what stands above them; of everything for all layers.

    Attributes:
        name: the method's word.
        layers: which are trained by default.
        stored: whether the bank keeps what was trained without being asked to.
    """

    name: str
    layers: str
    stored: bool

    def options(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """Return every option with its value.

        Args:
            given: maybe `layers`.

        Raises:
            InputError: if one is unknown or out of range.
        """
        return complete(self.name, {"layers": layers_option(self.layers)}, given)

    def adapt(
        self, backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
    ) -> Adaptation:
        """Return trainable copies of the layers; see `taskbank.methods.method.Method`."""
        chosen = select_layers(options["layers"], backbone.identity.layers)
        layers = [backbone.layer(number) for number in chosen]
        if len(chosen) == backbone.identity.layers:
            children = [name for name, _ in backbone.model.named_children()]
            # A bare list of layers is never computed itself.
            bare = backbone.architecture.layers
            paths = [p for name in children for p in (layers if name == bare else [name])]
        else:
            present = dict(backbone.model.named_children())
            above = [path for path in backbone.architecture.top if path in present]
            paths = [*layers, *above]
        adaptation = Adaptation(backbone, mixes=False)
        adaptation.add("model", replace_modules(adaptation, paths))
        return adaptation


FULL = FineTuning("full", "all", stored=False)
TOP_K = FineTuning("top-k", "top:1", stored=True)
