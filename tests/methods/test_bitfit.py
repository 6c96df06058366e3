"""BitFit trains biases, and needs some."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.backbone.load import load_backbone
from taskbank.errors import InputError
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from tests.helpers.backbones import make_backbone
from tests.helpers.models import classes


def test_a_backbone_without_biases_is_refused_by_bitfit(tmp_path: Path) -> None:
    """ModernBERT as it is published has no bias: bitfit says so."""
    bare = load_backbone(str(make_backbone(tmp_path / "m", "modernbert", mlp_bias=False)))
    with pytest.raises(InputError, match="has none"):
        task_model(bare, SINGLE, classes(2), "bitfit", {}, seed=0)
