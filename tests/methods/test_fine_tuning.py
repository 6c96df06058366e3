"""Full fine-tuning and the top layers alone."""

from __future__ import annotations

from taskbank.backbone.backbone import Backbone
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from tests.helpers.models import classes


def test_full_trains_everything_and_top_k_the_top(backbone: Backbone) -> None:
    """Full fine-tuning trains as many parameters as the backbone and the head have; the top
    layer alone a layer's."""
    head = 2 * 32 + 2
    counts = {}
    for method, options in (("full", {}), ("top-k", {"layers": "top:1"})):
        model = task_model(backbone, SINGLE, classes(2), method, options, seed=0)
        counts[method] = sum(t.numel() for t in model.trained_tensors().values())
    layer = sum(p.numel() for p in backbone.model.get_submodule("encoder.layer.1").parameters())
    assert counts == {"full": backbone.identity.parameters + head, "top-k": layer + head}
