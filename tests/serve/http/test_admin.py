"""Aliases can be moved over HTTP with an admin key, and only if the server was started so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from taskbank.bank.bank import Bank
from taskbank.serve.http.keys import add_key
from tests.helpers.serving import client_of, wrong

ALIAS = "/v1/tasks/mood/aliases/production"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Any]:
    """The headers of a client with each scope."""
    path = tmp_path / "keys"
    return {
        scope: {"authorization": f"Bearer {add_key(path, scope, scope)}"}
        for scope in ("read", "admin")
    }


@pytest.fixture
def client(moods: Bank, keys: dict[str, Any], tmp_path: Path) -> Iterator[TestClient]:
    """A client of a server that may move aliases."""
    assert keys
    with client_of(moods, tmp_path / "keys", admin=True, access_log=False) as made:
        yield made


def test_an_alias_is_moved_and_dropped(
    client: TestClient, moods: Bank, keys: dict[str, Any]
) -> None:
    """The answer names the version, and the next request already gets it."""
    admin = keys["admin"]
    for version in (1, 2):
        moved = client.put(ALIAS, json={"version": version}, headers=admin).json()
        assert (moved["version"], moved["alias"]) == (version, "production")
        found = client.post(
            "/v1/tasks/mood@production/predict", json={"inputs": ["x"]}, headers=admin
        )
        assert found.json()["version"] == version
    assert moods["mood@production"].version == 2
    assert client.delete(ALIAS, headers=admin).json()["version"] is None
    wrong(client.delete(ALIAS, headers=admin), 404, "not-found")


def test_another_key_moves_nothing(client: TestClient, moods: Bank, keys: dict[str, Any]) -> None:
    """A key to read is refused with 403, none with 401, and the bank stays as it was."""
    for headers, status, kind in ((keys["read"], 403, "scope"), ({}, 401, "key")):
        wrong(client.put(ALIAS, json={"version": 1}, headers=headers), status, kind)
        wrong(client.delete(ALIAS, headers=headers), status, kind)
    assert moods.aliases("mood") == ()


def test_without_the_option_there_is_no_such_path(
    moods: Bank, keys: dict[str, Any], tmp_path: Path
) -> None:
    """An admin key alone opens nothing: no method of any path changes the bank."""
    before = moods.changed_tasks(0)[0]
    with client_of(moods, tmp_path / "keys", access_log=False) as client:
        for method in ("PUT", "DELETE", "POST", "PATCH"):
            for path in (ALIAS, "/v1/tasks/mood", "/v1/tasks", "/metrics", "/info"):
                response = client.request(method, path, json={}, headers=keys["admin"])
                assert response.status_code in (404, 405), (method, path)
    assert moods.changed_tasks(0)[0] == before


@pytest.mark.parametrize(
    ("alias", "body", "status"),
    [
        ("production", {"version": 9}, 404),
        ("production", {"version": True}, 422),
        ("production", {"version": "1"}, 422),
        ("production", {"version": 10**12}, 422),
        ("production", {}, 422),
        ("production", {"version": 1, "x": 1}, 422),
        ("production", [], 422),
        ("7", {"version": 1}, 422),
        ("a%20b", {"version": 1}, 422),
        ("%00", {"version": 1}, 422),
    ],
)
def test_what_cannot_be_moved_is_refused(
    client: TestClient, keys: dict[str, Any], alias: str, body: Any, status: int
) -> None:
    """A version that there is not, and names and bodies of another form, are refused."""
    path = f"/v1/tasks/mood/aliases/{alias}"
    assert client.put(path, json=body, headers=keys["admin"]).status_code == status
