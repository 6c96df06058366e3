"""The model of a task, made of stored tensors."""

from __future__ import annotations

import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.kinds.single import SINGLE
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import task_model
from tests.helpers.adapters import DEFINITION
from tests.helpers.models import encoded_of, moved


def test_a_loaded_adapter_is_made_of_the_tensors_that_were_read(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored tensors become the model's own: no value is copied, and none is drawn before."""
    tensors = {n: t.clone() for n, t in moved(backbone, "houlsby", 0).trained_tensors().items()}
    state = torch.random.get_rng_state()
    monkeypatch.setattr(torch.nn.init, "trunc_normal_", None)
    model = task_model(backbone, SINGLE, DEFINITION, "houlsby", {}, None)
    model.adopt_tensors(tensors)
    assert torch.equal(torch.random.get_rng_state(), state)
    own = model.trained_tensors()
    assert all(own[name].data_ptr() == tensor.data_ptr() for name, tensor in tensors.items())


@pytest.mark.parametrize("method", plugins.names("methods"))
def test_every_method_loads_without_drawing_values(backbone: Backbone, method: str) -> None:
    """A model that was made of stored tensors alone gives what the one gives that they are of."""
    first = moved(backbone, method, 3)
    tensors = {name: tensor.clone() for name, tensor in first.trained_tensors().items()}
    second = task_model(backbone, SINGLE, DEFINITION, method, {}, None).eval()
    second.adopt_tensors(tensors)
    encoded = encoded_of(backbone, 5)
    assert (predict_outputs(second, encoded) == predict_outputs(first, encoded)).all()
