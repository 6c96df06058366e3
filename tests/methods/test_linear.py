"""A linear probe: the head alone on the frozen backbone's output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone, trunk_states
from taskbank.backbone.hooks import Part
from taskbank.data.tokenization import encode
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import task_model
from taskbank.model.trunk import add_trunk_states
from tests.helpers.models import CLOSE, classes, options_of, texts


def test_only_the_head_is_stored(backbone: Backbone) -> None:
    """A linear probe trains and stores nothing but the head's weights and biases."""
    model = task_model(backbone, SINGLE, classes(3), "linear", {}, seed=0)
    assert set(model.trained_tensors()) == {"head.weight", "head.bias"}


@torch.no_grad()
def test_the_backbones_output_is_computed_once_for_every_use(
    any_backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored state of each input gives the vector of a whole pass, by every pooling, and the
    backbone is not asked again."""
    encoded = encode(any_backbone.tokenizer, {"text": texts(9)}, ("text",), 64)
    model = task_model(any_backbone, SINGLE, classes(3), "linear", {}, seed=0).eval()
    stored = add_trunk_states(model, encoded, stored=False)
    rows = np.array([4, 0, 8])
    part = Part(3, model.adaptation)
    expected = run_backbone(any_backbone, encoded.batch(rows), [part])

    def unexpected(*_: Any, **__: Any) -> None:
        raise AssertionError("the backbone was computed")

    monkeypatch.setattr("taskbank.backbone.forward._run", unexpected)
    found = run_backbone(any_backbone, stored.batch(rows), [part])
    torch.testing.assert_close(found.vectors, expected.vectors, **CLOSE)
    assert found.states.shape == (3, 32)


@torch.no_grad()
def test_a_head_on_tokens_reads_every_stored_state(any_backbone: Backbone) -> None:
    """For a kind that labels words, the state of every token is stored."""
    encoded = encode(any_backbone.tokenizer, {"text": texts(4)}, ("text",), 64)
    model = task_model(any_backbone, TAGGING, classes(3), "linear", {}, seed=0).eval()
    stored = add_trunk_states(model, encoded, stored=False)
    rows = np.array([3, 1])
    expected = model.outputs(encoded.batch(rows))
    torch.testing.assert_close(model.outputs(stored.batch(rows)), expected, **CLOSE)


@torch.no_grad()
def test_the_output_is_what_enters_a_layer_after_the_last(any_backbone: Backbone) -> None:
    """The states of the layer numbered as there are layers are those that a pass returns."""
    encoded = encode(any_backbone.tokenizer, {"text": texts(5)}, ("text",), 64)
    batch = encoded.batch(np.arange(5))
    found = trunk_states(any_backbone, batch, any_backbone.identity.layers)
    assert torch.equal(found, run_backbone(any_backbone, batch, ()).states)


@pytest.mark.parametrize("beside", ["linear", "houlsby"])
def test_a_linear_probe_shares_batches(backbone: Backbone, beside: str) -> None:
    """Beside tasks of its own method and others, a linear probe gives what it gives alone."""
    models = [
        task_model(backbone, SINGLE, classes(3), method, options_of(method), seed).eval()
        for seed, method in enumerate(("linear", beside, "linear"))
    ]
    asked = [
        PredictionRequest(model, encode(backbone.tokenizer, {"text": texts(5)}, ("text",), 64))
        for model in models
    ]
    for one, found in zip(asked, predict_mixed(backbone, asked), strict=True):
        np.testing.assert_allclose(found, predict_outputs(one.model, one.encoded), **CLOSE)
