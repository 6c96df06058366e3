"""Tiny backbones of every architecture, checked to be left as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from tests.helpers.backbones import MODEL_TYPES, make_backbone
from tests.helpers.models import vectors_of


@pytest.fixture(scope="module", params=MODEL_TYPES)
def any_backbone(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Backbone:
    """A tiny backbone of each architecture in turn."""
    place = tmp_path_factory.mktemp("architectures") / request.param
    return load_backbone(str(make_backbone(place, request.param)))


def frozen_state(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return a copy of every tensor of a backbone."""
    return {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}


@pytest.fixture
def plain(any_backbone: Backbone) -> Iterator[torch.Tensor]:
    """The bare backbone's vectors of the batch; checked to be the same bits afterwards."""
    before = frozen_state(any_backbone)
    modules = {name: id(module) for name, module in any_backbone.model.named_modules()}
    vectors = vectors_of(any_backbone)
    yield vectors
    after = any_backbone.model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert modules == {name: id(module) for name, module in any_backbone.model.named_modules()}
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    assert not any(getattr(m, h) for m in any_backbone.model.modules() for h in hooks)
    assert not any("forward" in vars(m) for m in any_backbone.model.modules())
    assert not any(p.requires_grad for p in any_backbone.model.parameters())
    assert torch.equal(vectors_of(any_backbone), vectors)


@pytest.fixture(params=plugins.names("methods"))
def method(request: pytest.FixtureRequest) -> str:
    """Each method in turn."""
    return str(request.param)
