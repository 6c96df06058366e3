"""Banks that have something of everything that pages show, and a browser for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taskbank
from taskbank.bank.bank import Bank
from tests.helpers.adapters import identity
from tests.helpers.chromium import headless_chromium, installed
from tests.helpers.demo_bank import fill_demo
from tests.helpers.versions import version


@pytest.fixture(scope="module")
def demo(shared_bank: Bank) -> Bank:
    """A filled bank on SQLite and on PostgreSQL in turn; never write to it."""
    fill_demo(shared_bank, identity())
    return shared_bank


@pytest.fixture
def four_wrong(own: Bank) -> Bank:
    """A bank whose task `mood` answers 36 of 40 rightly: the last 4 wrongly."""
    own.put(version(36))
    return own


@pytest.fixture
def printed(tmp_path: Path) -> Callable[[str], list[str]]:
    """Returns the lines that a script prints in a process of its own for a bank of every kind."""
    copy = tmp_path / "bank.db"
    shutil.copy(Path(__file__).parents[1] / "data" / "previous" / "bank.sqlite", copy)
    taskbank.upgrade(f"sqlite:///{copy}")

    def run(script: str) -> list[str]:
        command = [sys.executable, "-c", script, str(copy)]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        return found.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that logs what it asks for."""
    if installed() is None:
        pytest.skip("there is no Chromium with its driver here")
    with headless_chromium() as started:
        yield started
