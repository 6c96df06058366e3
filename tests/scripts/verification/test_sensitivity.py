"""Tests of scripts/verification/sensitivity.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.verification import sensitivity
from scripts.verification.suite_bank import copy_bank
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.verify.verify import verify_all


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "as_expected"), [(["mood"], True), ([], False)], ids=["changed", "unchanged"]
)
def test_the_row_says_whether_the_changed_tasks_are_named(
    changed: list[str],
    as_expected: bool,
    mood: Bank,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A verification that names one task agrees only with a change of that task."""
    change = sensitivity.change_weights(sensitivity.scale_weight)
    with copy_bank(mood, tmp_path / "copy.db", {"mood": change}) as copy:
        report = verify_all(copy, backbone=load_backbone(str(folder)))
    assert sensitivity.print_row("scaled", changed, report) is as_expected
    assert "| mood | changed | mood: accuracy " in capsys.readouterr().out


def test_a_layernorm_gets_its_pretrained_values() -> None:
    """The first LayerNorm of the adapter is reset; the script ends where there is none."""
    tensors = {"layernorm.a": np.ones(2), "layernorm.b": np.ones(2)}
    pretrained = {"a": np.zeros(2), "b": np.zeros(2)}
    sensitivity.reset_layernorm(tensors, pretrained)
    assert (tensors["layernorm.a"].sum(), tensors["layernorm.b"].sum()) == (0, 2)
    with pytest.raises(SystemExit, match="no trained LayerNorm"):
        sensitivity.reset_layernorm({"head.weight": np.ones(2)}, pretrained)
