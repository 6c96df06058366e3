"""Tests of scripts/verification/suite_bank.py."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from scripts.verification.suite_bank import copy_bank, shorten
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.verify.verify import verify_all


def test_a_copy_has_the_same_content(mood: Bank, tmp_path: Path) -> None:
    """The copied adapter has the original's digest."""
    with copy_bank(mood, tmp_path / "copy.db") as copy:
        assert copy["mood"].digest == mood["mood"].digest


@pytest.mark.slow
def test_a_shortened_copy_still_verifies(mood: Bank, folder: Path, tmp_path: Path) -> None:
    """With five examples per split, the recorded predictions and metrics are those predicted."""
    change = partial(shorten, examples=5)
    with copy_bank(mood, tmp_path / "short.db", {"mood": change}) as copy:
        assert {split.rows for split in copy["mood"].splits} == {5}
        report = verify_all(copy, backbone=load_backbone(str(folder)))
    assert report.ok
    assert [task.status for task in report.tasks] == ["ok"]
