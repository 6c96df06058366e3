"""Vectors under several adaptations at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from taskbank import plugins
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


@pytest.mark.parametrize("together", [True, False])
def test_vectors_in_bfloat16_are_those_in_float32_up_to_rounding(
    backbone: Backbone, together: bool
) -> None:
    """Under every method, alone and with others in one batch."""
    methods = plugins.names("methods")
    models = [
        task_model(backbone, SINGLE, DEFINITION, name, {}, seed)
        for seed, name in enumerate(methods)
    ]
    texts = {"text": ("a good day", "bad", "the film was very sad")}
    encoded = encode(backbone.tokenizer, texts, ("text",), 16)
    pairs = [(model.adaptation, encoded) for model in models]
    groups = [pairs] if together else [[pair] for pair in pairs]
    expected = [vectors for group in groups for vectors in pooled_vectors(backbone, group)]
    with torch.autocast("cpu", torch.bfloat16):
        found = [vectors for group in groups for vectors in pooled_vectors(backbone, group)]
    for name, one, other in zip(methods, expected, found, strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=0.05, err_msg=name)
