"""A suite of three tasks, its data beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.rows import sentences, write_jsonl
from tests.helpers.suites import SUITE


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of three tasks, its data beside it."""
    place = tmp_path / "suite"
    place.mkdir()
    for number, name in enumerate(("one", "two")):
        write_jsonl(place / f"{name}.jsonl", sentences(64, seed=number))
    path = place / "suite.toml"
    path.write_text(
        SUITE.replace("options = {size = 4}", "").replace('options = {layers = "all"}', "")
    )
    return path
