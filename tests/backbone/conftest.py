"""Tiny backbones of every architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from tests.helpers.backbones import MODEL_TYPES, make_backbone


@pytest.fixture(scope="module", params=MODEL_TYPES)
def any_folder(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Path:
    """The folder of a tiny backbone of each architecture in turn."""
    more: dict[str, Any] = {"modernbert": {"local_attention": 8}}.get(request.param, {})
    return make_backbone(tmp_path_factory.mktemp("engine") / request.param, request.param, **more)


@pytest.fixture(scope="module")
def any_backbone(any_folder: Path) -> Backbone:
    """The same, loaded."""
    return load_backbone(str(any_folder))
