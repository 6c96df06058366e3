"""The application, mounted or alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

import taskbank.serve
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.serve.http.application import application
from taskbank.serve.http.keys import add_key
from tests.helpers.serving import client_of, service_of, wrong


def test_other_paths_and_methods_are_refused(served: Bank) -> None:
    """Paths that there are not are 404, other methods 405, also with a strange host."""
    with client_of(served, access_log=False) as client:
        wrong(client.get("/nothing"), 404, "path")
        wrong(client.get("/v1/tasks/"), 404, "path")
        wrong(client.get("/" + "x" * 10_000), 404, "path")
        response = client.delete("/v1/tasks/mood")
        wrong(response, 405, "method")
        assert "GET" in response.headers["allow"]
        for host in (b"[", b"]:x", b"a b", b"\xc3\xa9", b""):
            wrong(client.get("/nothing", headers={b"host": host}), 404, "path")


def test_aliases_need_a_key(served: Bank) -> None:
    """A server that could move aliases does not start without keys."""
    with pytest.raises(InputError, match="admin key"):
        application(service_of(served, admin=True))


def test_it_can_be_mounted(served: Bank, tmp_path: Path) -> None:
    """Below a path of another application, tasks are served and only the probes need no key."""
    secret = add_key(tmp_path / "keys", "web", "read")
    app = taskbank.serve.app(served, tmp_path / "keys", access_log=False)
    with TestClient(app) as inner:  # which runs its lifespan
        client = TestClient(Starlette(routes=[Mount("/bank", app)]))
        assert client.get("/bank/live").status_code == 200
        assert client.get("/bank/ready").status_code == 200
        assert client.get("/bank/v1/tasks").status_code == 401
        assert client.get("/bank/v1/tasks/live").status_code == 401
        found = client.post(
            "/bank/v1/tasks/mood/predict",
            json={"inputs": ["x"]},
            headers={"authorization": f"Bearer {secret}"},
        )
        assert found.json()["task"] == "mood"
        assert inner.get("/live").status_code == 200


def test_it_can_be_started_again(served: Bank) -> None:
    """A service that has ended can be started again, and is ready then."""
    app = application(service_of(served, access_log=False))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/ready").status_code == 200
