"""Fixtures: banks with small tasks and with a task of every kind, and a server of the latter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.models import put_moved
from tests.helpers.serving import put_nan, put_version


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


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Iterator[Bank]:
    """A bank with the tasks `calm`, `film`, and `mood` in two versions; never write to it.

    The outputs of the task `nan` are NaN.
    """
    place = tmp_path_factory.mktemp("served") / "bank.db"
    with create_bank(f"sqlite:///{place}") as bank:
        for name in ("calm", "film", "mood"):
            put_moved(bank, backbone, name)
        put_version(bank, backbone, "mood", 50)
        put_nan(bank, bank["calm"], "nan")
        yield bank


@pytest.fixture
def moods(own: Bank, backbone: Backbone) -> Bank:
    """A bank of a test's own, whose task `mood` has two versions."""
    put_moved(own, backbone, "mood")
    put_version(own, backbone, "mood", 50)
    return own
