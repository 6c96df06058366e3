"""An exported task."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.interchange.export import export_adapter


@pytest.fixture
def exported(mood: Bank, tmp_path: Path) -> Path:
    """The task `mood` as a folder."""
    export_adapter(mood, "mood", tmp_path / "out")
    return tmp_path / "out"
