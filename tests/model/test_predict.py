"""Predictions of a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.kinds.single import SINGLE
from taskbank.methods.houlsby import HOULSBY
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import task_model
from tests.helpers.models import MOOD, data_of


def test_predictions_do_not_depend_on_the_company_of_a_batch(backbone: Backbone) -> None:
    """A text's logits are the same alone and among longer ones, but for rounding."""
    encoded = data_of(backbone, 40, 5).encoded
    model = task_model(backbone, SINGLE, MOOD, "houlsby", HOULSBY.complete({"size": 4}), 0)
    together = predict_outputs(model, encoded)
    model.eval()
    with torch.inference_mode():
        alone = [model.outputs(encoded.batch(np.array([row]))).numpy()[0] for row in range(40)]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)


def test_a_model_in_evaluation_mode_is_left_as_it_is(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode, which visits every module, changes only for a model in training, and comes back."""
    encoded = data_of(backbone, 3, 5).encoded
    model = task_model(backbone, SINGLE, MOOD, "houlsby", HOULSBY.complete({"size": 4}), 0)
    expected = predict_outputs(model.train(), encoded)
    assert model.training
    assert model.head.training
    model.eval()
    monkeypatch.setattr(torch.nn.Module, "train", None)
    assert (predict_outputs(model, encoded) == expected).all()
