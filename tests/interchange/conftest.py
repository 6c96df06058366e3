"""An exported task, and an encoder with a pooler."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.interchange.export import export_adapter
from tests.helpers.backbones import make_backbone


@pytest.fixture
def exported(mood: Bank, tmp_path: Path) -> Path:
    """The task `mood` as a folder."""
    export_adapter(mood, "mood", tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="package")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A tiny BERT with a pooler, whose vector is what its tasks read."""
    return load_backbone(str(make_backbone(tmp_path_factory.mktemp("pooled") / "bert")))
