"""An ensemble's model combines what its members give, and computes their common part once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.errors import DamagedError
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.model.ensemble import joined, split_tensors
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.predict import predict_outputs
from tests.helpers.models import CLOSE, encoded_of, ensemble, layers_seen, moved

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "every layer": ("houlsby", {"size": 4}),
    "top layer": ("houlsby", {"size": 4, "layers": "top:1"}),
    "tokens": ("lora", {"kind": TAGGING}),
    "alone": ("top-k", {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_outputs_are_those_of_the_members_combined(backbone: Backbone, shape: str) -> None:
    """For changes in every layer and in the top one, heads on tokens, and layers that are replaced:
    bit for bit alone, and but for rounding in one batch with other tasks."""
    method, given = SHAPES[shape]
    model = ensemble(backbone, method, range(3), **given)
    encoded = encoded_of(backbone, 9)
    own = [predict_outputs(member, encoded) for member in model.members]
    assert not np.allclose(own[0], own[1])
    expected = given.get("kind", SINGLE).combine(own, encoded)
    assert np.array_equal(predict_outputs(model, encoded), expected)
    other = moved(backbone, "houlsby", 7)
    asked = [PredictionRequest(one, encoded) for one in (other, model, other)]
    _, found, _ = predict_mixed(backbone, asked)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_the_layers_below_the_members_are_computed_once(backbone: Backbone) -> None:
    """Three members that adapt the top layer: the layer below sees each token once, the top one
    three times, alone and in a mixed batch."""
    model, encoded = (
        ensemble(backbone, "houlsby", range(3), layers="top:1"),
        encoded_of(backbone, 5),
    )
    for predict in (
        lambda: predict_outputs(model, encoded),
        lambda: predict_mixed(backbone, [PredictionRequest(model, encoded)]),
    ):
        below, hook = layers_seen(backbone, 0)
        above, other = layers_seen(backbone, 1)
        predict()
        hook.remove()
        other.remove()
        assert sum(below) == int(encoded.offsets[-1])
        assert sum(above) == 3 * sum(below)


def test_a_reduced_precision_applies_to_the_layers_below_the_members_too(
    backbone: Backbone,
) -> None:
    """The outputs are those of members that are computed alone, in that precision."""
    model, encoded = (
        ensemble(backbone, "houlsby", range(2), layers="top:1"),
        encoded_of(backbone, 5),
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = predict_outputs(model, encoded)
        own = [predict_outputs(member, encoded) for member in model.members]
    assert np.array_equal(found, SINGLE.combine(own, encoded))


def test_the_model_of_one_training_is_that_model(backbone: Backbone) -> None:
    """Nothing is combined, so that its outputs are exactly its own."""
    model = moved(backbone, "houlsby", 0)
    assert joined([model], SINGLE) is model
    outputs = np.ones((2, 2), dtype=np.float32)
    assert model.combine([outputs], encoded_of(backbone, 2)) is outputs


def test_the_tensors_of_members_are_stored_under_names_of_their_own(backbone: Backbone) -> None:
    """They can be told apart again, of eleven members too, and loaded into another model."""
    model = ensemble(backbone, "houlsby", range(11), size=2)
    tensors = {name: tensor.clone() for name, tensor in model.trained_tensors().items()}
    first = model.members[0].trained_tensors()
    assert len(tensors) == 11 * len(first)
    parts = split_tensors(tensors, 11)
    for member, part in zip(model.members, parts, strict=True):
        own = member.trained_tensors()
        assert own.keys() == part.keys()
        assert all(torch.equal(own[name], part[name]) for name in own)
    other = ensemble(backbone, "houlsby", range(20, 31), size=2)
    other.adopt_tensors(tensors)
    encoded = encoded_of(backbone, 4)
    assert np.array_equal(predict_outputs(other, encoded), predict_outputs(model, encoded))
    assert other.trained_bytes == 11 * model.members[0].trained_bytes
    other.release_tensors()
    assert all(tensor.numel() == 0 for tensor in other.members[3].trained_tensors().values())


def test_a_tensor_of_no_member_is_refused_by_name(backbone: Backbone) -> None:
    """One without a prefix, and one of a member too many."""
    tensor = torch.zeros(2)
    for name in ("head.bias", "member.2.head.bias"):
        with pytest.raises(DamagedError, match=f"{name}' belongs to none of the 2 members"):
            split_tensors({name: tensor, "member.0.head.bias": tensor}, 2)
    assert split_tensors({"head.bias": tensor}, 1) == [{"head.bias": tensor}]
