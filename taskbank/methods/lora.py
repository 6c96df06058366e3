"""Low-rank updates of the projections: LoRA, Hu et al. 2022 (arXiv 2106.09685), section 4.1.

A projection `W x` becomes `W x + (alpha / rank) · B A x`; B starts at zero, A as in `peft`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from taskbank.backbone.adaptation import Adaptation, OutputChange
from taskbank.backbone.architectures import PROJECTIONS
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.copies import add_nested
from taskbank.methods.layers import select_layers
from taskbank.methods.method import Method
from taskbank.methods.options import Option, layers, number, some_of, whole


class LowRank(torch.nn.Module):
    """The update of one projection: `scale · up(down(dropout(x)))`.

    Args:
        projection: the projection to update.
        options: complete options of `lora`.
        generator: the source of the initial values of `down`; with None, they stay unset.
    """

    def __init__(
        self,
        projection: torch.nn.Linear,
        options: Mapping[str, Json],
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        rank = options["rank"]
        self.down = torch.nn.Parameter(torch.empty(rank, projection.in_features))
        self.up = torch.nn.Parameter(torch.zeros(projection.out_features, rank))
        self.scale = options["alpha"] / rank
        self.dropout = torch.nn.Dropout(options["dropout"])
        if generator is not None:
            torch.nn.init.kaiming_uniform_(self.down, a=math.sqrt(5), generator=generator)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the update of the projection's output for inputs [..., in_features]."""
        down = torch.nn.functional.linear(self.dropout(inputs), self.down)
        update: torch.Tensor = torch.nn.functional.linear(down, self.up) * self.scale
        return update


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return untrained updates for a backbone; see `Method.adapt`."""
    architecture = backbone.architecture
    chosen = select_layers(options["layers"], backbone.identity.layers)
    adaptation = Adaptation(backbone)
    updates = torch.nn.Module()
    # Names that an architecture computes in one projection share an update.
    names = options["projections"].split(",")
    paths = dict.fromkeys(architecture.projections[name] for name in names)
    for layer_number in chosen:
        for path in paths:
            place = f"{backbone.layer(layer_number)}.{path}"
            projection: Any = backbone.model.get_submodule(place)
            update = LowRank(projection, options, generator).to(backbone.device)
            adaptation.change_output(place, _add_update(update))
            add_nested(updates, f"{layer_number}.{path}", update)
    adaptation.add("lora", updates)
    return adaptation


def merge(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    """Return the projections with their updates added; see `Method.merge`."""
    backbone, weights = adaptation.backbone, {}
    for name, update in adaptation.modules["lora"].named_modules():
        if isinstance(update, LowRank):
            path = f"{backbone.architecture.layers}.{name}"
            weight: Any = backbone.module(path).weight
            added = (update.up.double() @ update.down.double()) * update.scale
            weights[f"{path}.weight"] = (weight.double() + added).to(weight.dtype)
    return weights


def _add_update(update: torch.nn.Module) -> OutputChange:
    return lambda states, output: output + update(states)


LORA = Method(
    name="lora",
    summary="low-rank updates of projections",
    options={
        "rank": Option(8, whole(1, 4096), "rank of the updates"),
        "alpha": Option(16.0, number(0, 65536), "the updates are scaled by alpha / rank"),
        "dropout": Option(0.0, number(0, 0.99, least=True), "on the input of the updates"),
        "projections": Option(
            "query,value", some_of(PROJECTIONS), f"comma-separated, from {', '.join(PROJECTIONS)}"
        ),
        "layers": layers(),
    },
    adapt=adapt,
    rate=3e-3,
    merge=merge,
)
