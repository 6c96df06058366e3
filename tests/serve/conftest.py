"""Fixtures: a bank with a task of every kind, and a server that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Bank]:
    """A bank with a trained task of every kind, named after its kind; never write to it."""
    from tests.helpers.every_kind import add_every_kind

    place = tmp_path_factory.mktemp("every-kind")
    url = f"sqlite:///{place}/bank.db"
    add_every_kind(url, folder, place)
    with Bank(url) as bank:
        yield bank


@pytest.fixture(scope="session")
def server(every_kind: Bank) -> Iterator[str]:
    """The URL of a server of that bank."""
    from tests.helpers.every_kind import serving

    with serving(every_kind) as url:
        yield url
