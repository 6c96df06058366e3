"""A bank with small tasks, to be served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.models import put_moved
from tests.helpers.serving import put_nan, put_version


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
