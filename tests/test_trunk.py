"""What lies below the adapted layers is computed once, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from taskbank import trunk
from taskbank.backbone import Backbone
from taskbank.evaluate import predict_outputs
from taskbank.kinds.single import SINGLE
from taskbank.model import task_model
from taskbank.specs import TrainingSpec
from taskbank.train import train
from taskbank.trunk import with_trunk
from tests.test_train import MOOD, data_of

OPTIONS = {"size": 4, "layers": "top:1"}


def counted(backbone: Backbone) -> tuple[list[int], Any]:
    """Return a list that grows whenever the lowest layer is computed, and its hook."""
    calls: list[int] = []
    layer = backbone.model.get_submodule("encoder.layer.0.attention")
    return calls, layer.register_forward_pre_hook(lambda *_: calls.append(1))


def test_layers_below_are_computed_once_and_not_in_every_epoch(backbone: Backbone) -> None:
    """Three epochs pass through the lowest layer as often as one does."""
    found = []
    for epochs in (1, 3):
        model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
        data, validation = data_of(backbone, 40, 1), data_of(backbone, 8, 2)
        calls, hook = counted(backbone)
        train(model, SINGLE, MOOD, data, validation, TrainingSpec(epochs=epochs), "accuracy")
        hook.remove()
        found.append(len(calls))
    assert found[0] == found[1] > 0


def test_predictions_have_the_same_bits_with_and_without(backbone: Backbone) -> None:
    """In the batches of an evaluation, states that were kept give what is computed anew."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
    encoded = data_of(backbone, 150, 1).encoded
    kept = with_trunk(model, encoded)
    assert kept.states is not None
    assert (predict_outputs(model, kept) == predict_outputs(model, encoded)).all()


def test_a_task_that_adapts_every_layer_has_no_trunk(backbone: Backbone) -> None:
    """Nothing is kept where nothing lies below."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", {"size": 4}, 0)
    encoded = data_of(backbone, 8, 1).encoded
    assert with_trunk(model, encoded) is encoded


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_does_not_fit_into_memory_is_computed_anew(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """A training that keeps nothing gives the same adapter but for rounding: dropout is off below
    in both."""
    trained = []
    for memory in (1 << 30, 0):
        monkeypatch.setattr(trunk, "MEMORY", memory)
        model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
        data, validation = data_of(backbone, 40, 1), data_of(backbone, 8, 2)
        spec = TrainingSpec(epochs=2, precision=precision)
        train(model, SINGLE, MOOD, data, validation, spec, "accuracy")
        trained.append({name: tensor.clone() for name, tensor in model.trained().items()})
    for name, tensor in trained[0].items():
        torch.testing.assert_close(tensor, trained[1][name], rtol=1e-2, atol=1e-4)
