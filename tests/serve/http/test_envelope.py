"""What surrounds every request: ids, keys, times, and one line in the log without texts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from taskbank.serve.http.keys import add_key
from taskbank.serve.http.routes import Endpoint, Interface
from tests.helpers.serving import client_of, service_of, serving, wrong

PREDICT = "/v1/tasks/mood/predict"
TEXT = "a text that is nobody's business"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Returns the lines that were logged for requests."""
    caplog.set_level(logging.INFO, "taskbank.serve.requests")

    def read() -> list[dict[str, Any]]:
        records = [r for r in caplog.records if r.name == "taskbank.serve.requests"]
        return [json.loads(record.getMessage()) for record in records]

    return read


def test_requests_have_ids_and_times(served: Bank) -> None:
    """A valid id of the client comes back, another is replaced; times say where they went."""
    with client_of(served, access_log=False) as client:
        given = client.get("/live", headers={"x-request-id": "a.b-C_1"})
        assert given.headers["x-request-id"] == "a.b-C_1"
        ids = [
            client.get("/live", headers={"x-request-id": bad}).headers["x-request-id"]
            for bad in ("a b", "x" * 65, 'a"b', "")
        ]
        assert len(set(ids)) == 4
        assert all(len(one) == 32 for one in ids)
        times = client.post(PREDICT, json={"inputs": ["x"]}).headers["server-timing"]
        parts = [part.partition(";dur=") for part in times.split(", ")]
        assert [part[0] for part in parts] == ["queue", "tokenise", "compute", "total"]
        assert all(float(part[2]) >= 0 for part in parts)


def test_one_line_per_request(served: Bank, tmp_path: Path, lines: Any) -> None:
    """The line says who asked what, and how it ended; it never has a text, a path, or a key."""
    secret = add_key(tmp_path / "keys", "web", "read")
    with serving(service_of(served, tmp_path / "keys"), authorization=f"bearer {secret}") as client:
        client.post(PREDICT, json={"inputs": [TEXT, TEXT]})
        client.post(f"/v1/tasks/{TEXT}/predict", json={"inputs": [TEXT]})
        client.post(PREDICT, json={"inputs": [TEXT + "\x00"]})
        client.get(f"/{TEXT}?{TEXT}", headers={"x-request-id": TEXT})
        client.get("/info", headers={"authorization": f"Bearer {secret}x"})
    first, missing, refused, unknown, stranger = lines()
    assert (first["status"], first["rows"], first["tasks"]) == (200, 2, ["mood@2"])
    assert (first["client"], first["route"]) == ("web", "POST /v1/tasks/{ref}/predict")
    assert first["ms"] >= first["computing_ms"] >= 0
    assert [one["status"] for one in (missing, refused, unknown, stranger)] == [404, 422, 404, 401]
    assert unknown["route"] == "(unknown)"
    assert "client" not in stranger
    assert TEXT not in json.dumps(lines())
    assert secret not in json.dumps(lines())


def test_the_log_can_be_off(served: Bank, lines: Any) -> None:
    """Without the access log, nothing is logged, but counted."""
    with client_of(served, access_log=False) as client:
        client.get("/live")
        assert 'route="GET /live"' in client.get("/metrics").text
    assert lines() == []


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x", "Bearer \xff"]
)
def test_a_key_is_needed(served: Bank, tmp_path: Path, header: str) -> None:
    """Without the right key everything but the probes is refused, unknown paths too."""
    secret = add_key(tmp_path / "keys", "web", "read")
    headers = {b"authorization": header.format(secret).encode("latin-1")}
    with client_of(served, tmp_path / "keys", access_log=False) as client:
        for path in ("/live", "/ready"):
            assert client.get(path, headers=headers).status_code == 200
        for path in ("/info", "/metrics", "/v1/tasks", "/nothing", "/live/", "/x//live"):
            response = client.get(path, headers=headers)
            wrong(response, 401, "key")
            assert response.headers["www-authenticate"] == "Bearer"


def test_a_defect_is_answered_without_its_words(
    served: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody expected is 500 with the request's id; neither log has its words."""

    async def fail(*_: Any) -> None:
        raise RuntimeError(TEXT)

    from taskbank.serve.http import application as module

    monkeypatch.setattr(module, "INTERFACES", (Interface("failing", [Endpoint("/fail", fail)]),))
    described = Endpoint("/openapi.json", fail)
    monkeypatch.setattr("taskbank.serve.http.openapi.endpoint", lambda _: described)
    from starlette.testclient import TestClient

    from taskbank.serve.http.application import application

    app = application(service_of(served))
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.get("/fail", headers={"x-request-id": "mine"})
    assert response.status_code == 500
    assert TEXT not in response.text
    assert "RuntimeError in request mine" in caplog.text
    assert TEXT not in caplog.text


def test_an_ending_server_closes_connections(served: Bank) -> None:
    """While it is draining, each answer ends its connection, so that the client goes elsewhere."""
    service = service_of(served, access_log=False)
    with serving(service) as client:
        assert "connection" not in client.get("/live").headers
        service.draining = True
        response = client.post(PREDICT, json={"inputs": ["x"]})
        assert (response.status_code, response.headers["connection"]) == (200, "close")
        wrong(client.get("/ready"), 503, "draining")
