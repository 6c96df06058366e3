"""A bank with each kind of blob store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from tests.helpers.object_stores import S3, google_server, new_place, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A server that speaks S3."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def gs() -> Iterator[None]:
    """An emulator of Google's object store."""
    with google_server():
        yield


SERVERS = {"postgresql", "s3", "gs"}
PLACES = [
    *(
        (place, database)
        for place in ("catalog", "folder")
        for database in ("sqlite", "postgresql")
    ),
    ("s3", "postgresql"),
    ("gs", "sqlite"),
]


@pytest.fixture(
    params=[
        pytest.param(
            pair, id="-".join(pair), marks=[pytest.mark.server] if {*pair} & SERVERS else []
        )
        for pair in PLACES
    ]
)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    """An empty bank with its blobs in the catalog, in a folder and in object stores."""
    place, database = request.param
    url = f"sqlite:///{tmp_path}/bank.db"
    if database == "postgresql":
        url = request.getfixturevalue("new_database")()
    blobs = {"catalog": None, "folder": f"{tmp_path}/blobs"}
    if place in SERVERS:
        request.getfixturevalue(place)
        blobs[place] = new_place(place)
    with create_bank(url, blobs[place]) as bank:
        yield bank
