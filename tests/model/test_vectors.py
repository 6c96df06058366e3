"""Vectors under several adaptations at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from taskbank.backbone.adaptation import Adaptation
from taskbank.backbone.backbone import Backbone
from taskbank.data.tokenization import encode
from taskbank.kinds.single import SINGLE
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import task_model
from taskbank.model.vectors import pooled_vectors
from tests.helpers.adapters import DEFINITION


def test_vectors_are_those_that_each_head_reads(backbone: Backbone) -> None:
    """Under every adaptation, alike and unlike inputs, the head of the vectors gives the outputs
    of the whole model; an adaptation without changes gives those of the bare backbone."""
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("houlsby", {"size": 4}),
        ("houlsby", {"size": 4, "layers": "top:1"}),
        ("linear", {}),
    ]
    models = [
        task_model(backbone, SINGLE, DEFINITION, method, options, seed)
        for seed, (method, options) in enumerate(shapes)
    ]
    first = encode(backbone.tokenizer, {"text": ("a good day", "bad")}, ("text",), 16)
    second = encode(backbone.tokenizer, {"text": ("the film was very sad",)}, ("text",), 16)
    pairs = [(model, encoded) for model in models for encoded in (first, second)]
    found = pooled_vectors(backbone, [(model.adaptation, encoded) for model, encoded in pairs])
    for (model, encoded), vectors in zip(pairs, found, strict=True):
        with torch.no_grad():
            outputs = model.head(torch.from_numpy(vectors)).numpy()
        np.testing.assert_allclose(outputs, predict_outputs(model, encoded), atol=1e-5)
    (bare,) = pooled_vectors(backbone, [(Adaptation(backbone), first)])
    np.testing.assert_allclose(bare, found[4], atol=1e-5)
