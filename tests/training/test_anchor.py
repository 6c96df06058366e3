"""The term of the loss that holds what an earlier version answers right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.records import Parent
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import Tagging
from taskbank.methods.houlsby import HOULSBY
from taskbank.model.predict import predict_outputs, targets_of
from taskbank.model.task_model import task_model
from taskbank.specs import TaskSpec, TrainingSpec
from taskbank.training.anchor import Anchor
from taskbank.training.loop import train
from taskbank.training.plan import plan_task
from taskbank.training.trainer import Trainer
from tests.helpers.models import MOOD, data_of
from tests.helpers.rows import labelled

PARENT = Parent("mood@1", "sha256:" + "0" * 64)


def anchor(outputs: list[list[float]], right: list[float], weight: float = 0.5) -> Anchor:
    """Return an anchor at the outputs of `mood@1`."""
    return Anchor(PARENT, weight, np.array(outputs, np.float32), np.array(right, np.float32))


def test_right_outputs_are_held_and_wrong_ones_are_free(backbone: Backbone) -> None:
    """The term is the weighted mean of the squared distance over right inputs, without new labels;
    the kind's own loss is added."""
    encoded = data_of(backbone, 3, 1).encoded
    held = anchor([[1.0, -1.0], [2.0, 0.0], [0.0, 0.0]], [1, 0, 1])
    outputs = torch.tensor([[2.0, -1.0, 7.0], [9.0, 9.0, 9.0], [0.0, 3.0, 0.0]])
    supervision = targets_of(held.added_to(encoded, SINGLE), np.arange(3), torch.device("cpu"))
    own = SINGLE.loss(outputs, supervision, None)
    expected = own + 0.5 * (1 / 2 + 9 / 2) / 2
    torch.testing.assert_close(held.loss(SINGLE)(outputs, supervision, None), expected)
    nothing = replace(held, right=np.zeros(3, np.float32))
    supervision = targets_of(nothing.added_to(encoded, SINGLE), np.arange(3), torch.device("cpu"))
    torch.testing.assert_close(nothing.loss(SINGLE)(outputs, supervision, None), own)


def test_padding_of_tokens_is_not_held(backbone: Backbone) -> None:
    """Of a kind with a head for every token, only tokens count, whatever their batch."""
    kind = Tagging()
    columns = labelled("tagging", 6)
    definition = kind.define(columns, "rows", {})
    encoded = kind.encode(backbone.tokenizer, columns, definition, 24, labelled=True)
    outputs = np.zeros((encoded.offsets[-1], len(definition.labels)), np.float32)
    targets = encoded.token_targets["targets"]
    right = (targets > 0).astype(np.float32)
    held = Anchor(PARENT, 1.0, outputs, right)
    supervision = targets_of(held.added_to(encoded, kind), np.arange(6), torch.device("cpu"))
    moved = torch.ones(*supervision["targets"].shape, len(definition.labels))
    loss = held.loss(kind)(moved, supervision, None)
    torch.testing.assert_close(loss, kind.loss(moved, supervision, None) + 1.0)


@pytest.mark.slow
def test_a_heavy_anchor_keeps_outputs_where_they_are(backbone: Backbone) -> None:
    """A task is learned with large outputs, and with small ones if those are held."""
    spec = TrainingSpec(epochs=6, learning_rate=0.02, batch_size=16)
    data, validation = data_of(backbone, 96, 1), data_of(backbone, 24, 2)
    signs = 2 * np.eye(2, dtype=np.float32)[data.encoded.input_targets["targets"]] - 1
    distances = []
    for weight in (1e-6, 10.0):
        held = Anchor(PARENT, weight, 0.1 * signs, np.ones(96, np.float32))
        model = task_model(backbone, SINGLE, MOOD, "houlsby", HOULSBY.complete({"size": 8}), 0)
        anchored = replace(data, encoded=held.added_to(data.encoded, SINGLE))
        train(model, SINGLE, MOOD, anchored, validation, spec, "accuracy", loss=held.loss(SINGLE))
        moved = predict_outputs(model, data.encoded) - held.outputs
        distances.append(float((moved**2).mean()))
    assert distances[1] < distances[0] / 4


def test_an_anchor_is_part_of_request_and_specification(small: str, backbone: Backbone) -> None:
    """Both digests follow its weight and the bytes of its version."""
    spec = TaskSpec("mood", small)
    one = anchor([[0.0, 0.0]], [1])
    plans = [
        plan_task(spec, anchor=held)
        for held in (
            None,
            one,
            replace(one, weight=2.0),
            replace(one, parent=Parent("mood@1", "sha256:" + "1" * 64)),
        )
    ]
    assert len({plan.request for plan in plans}) == 4
    assert len({Trainer(backbone, plan).specification(plan.base) for plan in plans}) == 4
