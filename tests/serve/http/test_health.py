"""The paths for orchestrators and monitoring."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from tests.helpers.serving import client_of


def test_the_server_describes_itself(served: Bank) -> None:
    """Probes, versions, encoder, limits and counts are there."""
    with client_of(served, access_log=False, max_rows=77, tasks=["m*"]) as client:
        assert client.get("/live").json() == {"status": "live"}
        assert client.get("/ready").json() == {"status": "ready"}
        assert client.head("/ready").status_code == 200
        client.post("/v1/tasks/mood/predict", json={"inputs": ["x"] * 3})
        info = client.get("/info").json()
        assert info["backbone"]["fingerprint"] == served["mood"].backbone
        assert info["limits"]["rows"] == 77
        assert info["tasks"] == ["m*"]
        assert info["resident"]["adapters"] == 1
        assert (info["resident"]["bytes"] > 0, info["waiting_rows"]) == (True, 0)
        text = client.get("/metrics").text
        assert 'taskbank_rows_total{task="mood",version="2"} 3.0' in text
        route = 'code="200",route="POST /v1/tasks/{ref}/predict"'
        assert f"taskbank_requests_total{{{route}}} 1.0" in text


def test_paths_of_clients_are_no_labels(served: Bank) -> None:
    """However many paths, names and methods clients try, the number of counts stays small."""
    with client_of(served, access_log=False) as client:
        before = client.get("/metrics").text.count("\n")
        for number in range(30):
            client.get(f"/path-{number}")
            client.post(f"/v1/tasks/task-{number}/predict", json={"inputs": ["x"]})
            client.request(f"METHOD{number}", "/live")
        assert client.get("/metrics").text.count("\n") < before + 12
