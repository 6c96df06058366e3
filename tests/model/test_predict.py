"""Predictions of a model."""

from __future__ import annotations

import numpy as np
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
