"""Rows of different tasks in one pass, each changed by its own task alone."""

from __future__ import annotations

import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.hooks import Part
from taskbank.data.packed import join_batches
from taskbank.kinds.tagging import TAGGING
from taskbank.model.task_model import TaskModel
from tests.helpers.models import CLOSE, batch_of, moved


def mixture(backbone: Backbone) -> list[TaskModel]:
    """Return tasks of every method that mixes, of several sizes and layers."""
    found = [
        moved(backbone, method, seed)
        for seed, method in enumerate(plugins.names("methods"))
        if method not in ("full", "top-k")
    ]
    found.append(moved(backbone, "houlsby", 11, size=3, activation="relu"))
    found.append(moved(backbone, "lora", 12, layers="top:1", projections="query,output,down"))
    found.append(moved(backbone, "pfeiffer", 13, kind=TAGGING, layers="0"))
    return found


@torch.no_grad()
def test_rows_of_different_tasks_are_computed_as_each_task_alone(any_backbone: Backbone) -> None:
    """One pass over rows of different methods, sizes, layers and heads gives each task what it
    gives alone, within rounding."""
    if not any_backbone.supports_packing:
        pytest.skip("padded rows of different tasks are not computed together")
    models = mixture(any_backbone)
    batches = [batch_of(any_backbone, 1 + number % 3, number) for number in range(len(models))]
    parts = [Part(len(b), m.adaptation) for b, m in zip(batches, models, strict=True)]
    computed = run_backbone(any_backbone, join_batches(batches), parts)
    for model, batch, own in zip(models, batches, computed.split(parts), strict=True):
        torch.testing.assert_close(model.apply_head(own), model.outputs(batch), **CLOSE)


@torch.no_grad()
def test_bare_rows_stay_bare_beside_adapted_ones(any_backbone: Backbone) -> None:
    """A part without a task gives what the backbone gives."""
    if not any_backbone.supports_packing:
        pytest.skip("padded rows of different tasks are not computed together")
    batch = batch_of(any_backbone)
    parts = [Part(4), Part(5, moved(any_backbone, "houlsby", 0).adaptation)]
    found, bare = run_backbone(any_backbone, batch, parts), run_backbone(any_backbone, batch, ())
    torch.testing.assert_close(found.vectors[:4], bare.vectors[:4], **CLOSE)
    assert (found.vectors[4:] - bare.vectors[4:]).abs().max() > 0.01


@torch.no_grad()
def test_one_tasks_infinite_outputs_do_not_reach_another(backbone: Backbone) -> None:
    """What is no number stays in its own rows."""
    broken, whole = moved(backbone, "houlsby", 0), moved(backbone, "houlsby", 1)
    broken.trained_tensors()["adapter.0.attention.up.bias"].fill_(torch.inf)
    batch = batch_of(backbone)
    parts = [Part(4, broken.adaptation), Part(5, whole.adaptation)]
    vectors = run_backbone(backbone, batch, parts).vectors
    assert not vectors[:4].isfinite().any()
    expected = run_backbone(backbone, batch, [Part(9, whole.adaptation)]).vectors
    torch.testing.assert_close(vectors[4:], expected[4:], **CLOSE)
