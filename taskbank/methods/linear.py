"""Trains the head alone: a linear probe on the frozen backbone's output.

The output of every text is computed once, so a training takes seconds. It is the floor that the
other methods are measured by.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.digests import Json
from taskbank.methods.method import Method


def adapt(
    backbone: Backbone, options: Mapping[str, Json], generator: torch.Generator | None
) -> Adaptation:
    """Return an adaptation that changes nothing; see `Method.adapt`."""
    return Adaptation(backbone)


def merge(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    """Return nothing, as the backbone stays as it is; see `Method.merge`."""
    return {}


LINEAR = Method(
    name="linear",
    summary="nothing, only the head",
    options={},
    adapt=adapt,
    rate=1e-2,
    merge=merge,
)
