"""A small task and a bank for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.rows import sentences, write_jsonl


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 160 labelled sentences."""
    return write_jsonl(tmp_path_factory.mktemp("small") / "small.jsonl", sentences(160, seed=1))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bank]:
    """An empty SQLite bank."""
    with create_bank(f"sqlite:///{tmp_path}/own.db") as bank:
        yield bank
