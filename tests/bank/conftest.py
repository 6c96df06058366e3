"""A bank with each kind of blob store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.bucket import register

register()


@pytest.fixture(params=["catalog", "folder", "bucket"])
def stored(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Iterator[Bank]:
    """An empty bank with its blobs in the catalog, in a folder and behind an fsspec URL."""
    blobs = {"catalog": None, "folder": f"{tmp_path}/blobs", "bucket": f"bucket://{uuid4().hex}"}
    with create_bank(url, blobs[request.param]) as bank:
        yield bank
