"""The service: its limits, its canaries and shadows, and what it follows while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import BackboneMismatchError, InputError, UnreachableError
from taskbank.model.stored_model import StoredModel
from taskbank.serve.http import service as module
from taskbank.serve.http.keys import add_key
from taskbank.serve.live import LiveTasks
from taskbank.serve.model_cache import ModelCache
from tests.helpers.adapters import identity
from tests.helpers.backbones import make_backbone
from tests.helpers.models import put_moved
from tests.helpers.serving import client_of, put_version, service_of, serving, wrong

PREDICT = "/v1/tasks/mood/predict"
ONE = {"inputs": ["the film was good"]}


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the bank and the keys often."""
    monkeypatch.setattr(module, "INTERVAL", 0.02)


def soon(true: Callable[[], bool]) -> None:
    """Wait until something is true, for two seconds at most."""
    deadline = time.monotonic() + 2
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_changes_of_the_bank_are_served(moods: Bank, backbone: Backbone) -> None:
    """An added task, a moved alias and a retired version count two seconds later, none fails."""
    moods.alias("mood@1", "production")
    with client_of(moods) as client, Bank(moods.url) as other:

        def version(ref: str) -> int:
            response = client.post(f"/v1/tasks/{ref}/predict", json=ONE)
            assert response.status_code == 200, response.text
            return int(response.json()["version"])

        assert (version("mood"), version("mood@production")) == (2, 1)
        wrong(client.post("/v1/tasks/late/predict", json=ONE), 404, "not-found")
        other.alias("mood@2", "production")
        soon(lambda: version("mood@production") == 2)
        other.alias("mood@1", "production")
        other.remove("mood@2")
        soon(lambda: version("mood") == 1)
        put_version(other, backbone, "mood", 60)
        soon(lambda: version("mood") == 3)
        put_moved(other, backbone, "late")
        soon(lambda: client.post("/v1/tasks/late/predict", json=ONE).status_code == 200)


@pytest.mark.usefixtures("often")
def test_an_unreachable_bank_ends_nothing(served: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bank, what is loaded is served, with a canary too, and the metrics say so."""
    service = service_of(served, canary=1.0)
    with serving(service) as client:
        assert client.post(PREDICT, json=ONE).status_code == 200

        def gone(*_: Any) -> Any:
            raise UnreachableError("the server is away")

        with monkeypatch.context() as patch:
            patch.setattr(Bank, "changed_tasks", gone)
            patch.setattr(Bank, "__getitem__", gone)
            service.tasks._missing.clear()  # as any change of the bank does
            soon(lambda: "taskbank_bank_reachable 0.0" in client.get("/metrics").text)
            assert client.post(PREDICT, json=ONE).status_code == 200
            wrong(client.post("/v1/tasks/film/predict", json=ONE), 503, "unreachable")
        soon(lambda: "taskbank_bank_reachable 1.0" in client.get("/metrics").text)
        assert client.post("/v1/tasks/film/predict", json=ONE).status_code == 200


@pytest.mark.usefixtures("often")
def test_a_defect_does_not_end_the_following(
    moods: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a look at the bank raises, the next look is taken, and it is logged once."""
    real = LiveTasks.refresh
    looks: list[int] = []

    def refresh(tasks: LiveTasks) -> None:
        if tasks.bank is moods:  # servers of other tests may run in this process, too
            looks.append(1)
            if len(looks) < 4:
                raise KeyError("a defect")
        real(tasks)

    monkeypatch.setattr(LiveTasks, "refresh", refresh)
    with client_of(moods) as client:
        soon(lambda: len(looks) > 5)
        assert client.get("/ready").status_code == 200
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [
        "the bank cannot be followed: KeyError"
    ]


@pytest.mark.usefixtures("often")
def test_a_removed_key_is_refused(
    served: Bank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys are followed; a file that is gone leaves them as they were, and is logged once."""
    path = tmp_path / "keys"
    secret = add_key(path, "web", "read")
    with serving(service_of(served, path), authorization=f"Bearer {secret}") as client:
        assert client.get("/info").status_code == 200
        path.rename(tmp_path / "away")
        soon(lambda: "keys stay" in caplog.text)
        time.sleep(0.1)
        assert client.get("/info").status_code == 200
        assert caplog.text.count("keys stay") == 1
        (tmp_path / "away").rename(path)
        add_key(tmp_path / "new", "other", "read")
        (tmp_path / "new").replace(path)
        soon(lambda: client.get("/info").status_code == 401)


@pytest.mark.slow
def test_a_canary_answers_its_share(moods: Bank) -> None:
    """About its share of the requests gets the canary, each client always the same version."""
    moods.alias("mood@1", "canary")
    with client_of(moods, canary=0.3, access_log=False) as client:

        def version(key: str) -> int:
            response = client.post(PREDICT, json=ONE, headers={"x-taskbank-key": key})
            return int(response.json()["version"])

        first = {f"client {number}": version(f"client {number}") for number in range(60)}
        assert 0.1 < sum(found == 1 for found in first.values()) / 60 < 0.5
        assert all(version(key) == found for key, found in list(first.items())[:10])
        chosen = client.post("/v1/tasks/mood@2/predict", json=ONE)
        assert chosen.json()["version"] == 2
    with client_of(moods, access_log=False) as client:  # without the option, no canary
        assert client.post(PREDICT, json=ONE).json()["version"] == 2


def test_a_shadow_is_compared(moods: Bank) -> None:
    """The shadow's answers are compared, shown and counted; the answer is the other version's."""
    moods.alias("mood@1", "shadow")
    inputs = {"inputs": ["good", "bad day", "film"]}
    with client_of(moods, shadow=True, access_log=False) as client:
        assert client.post(PREDICT, json=inputs).json()["version"] == 2

        def compared() -> list[Any]:
            return list(client.get("/v1/tasks/mood/live").json()["comparisons"])

        soon(lambda: bool(compared()))
        (found,) = compared()
        assert (found["version"], found["shadow"], found["rows"]) == (2, 1, 3)
        assert "taskbank_compared_rows_total" in client.get("/metrics").text


def test_a_failing_shadow_is_not_noticed(moods: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the shadow's model cannot be loaded, the answer is as without it."""
    moods.alias("mood@1", "shadow")
    real = ModelCache.borrow

    def model(cache: ModelCache, record: Any) -> StoredModel:
        if record.version == 1:
            raise RuntimeError("no model")
        return real(cache, record)

    monkeypatch.setattr(ModelCache, "borrow", model)
    with client_of(moods, shadow=True, access_log=False) as client:
        response = client.post(PREDICT, json=ONE)
        assert (response.status_code, response.json()["version"]) == (200, 2)
        assert client.get("/v1/tasks/mood/live").json()["comparisons"] == []


def test_a_passed_deadline_is_answered(served: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline the client gets 504, and its rows are not computed any more."""
    real = ModelCache.borrow

    def slow(cache: ModelCache, record: Any) -> StoredModel:
        time.sleep(0.15)
        return real(cache, record)

    monkeypatch.setattr(ModelCache, "borrow", slow)
    service = service_of(served, deadline=0.05, access_log=False)
    with serving(service) as client:
        assert "--deadline" in wrong(client.post(PREDICT, json=ONE), 504, "deadline")
        assert service.engine is not None
        assert service.engine.waiting_rows == 0
    assert 'taskbank_dropped_total{reason="deadline"} 1.0' in service.metrics.text().decode()
    assert "taskbank_batch_rows_sum 0.0" in service.metrics.text().decode()


def test_a_full_queue_is_too_many_requests(served: Bank) -> None:
    """While too many rows wait, a request is refused with when to come again."""
    service = service_of(served, queue=5, access_log=False)
    with serving(service) as client:
        assert service.engine is not None
        service.engine._unanswered += 5
        response = client.post(PREDICT, json=ONE)
        assert "at most 5 rows" in wrong(response, 429, "overloaded")
        assert int(response.headers["retry-after"]) >= 1
        response = client.post(PREDICT, content=b"not read, or it would be found to be no JSON")
        wrong(response, 429, "overloaded")
        service.engine._unanswered -= 5
        assert client.post(PREDICT, json=ONE).status_code == 200
    assert 'taskbank_dropped_total{reason="overloaded"} 2.0' in service.metrics.text().decode()


def test_contexts_count_with_all_their_characters() -> None:
    """An input that becomes many windows counts as a whole, others only up to their length."""
    assert module._tokens(("x" * 5000,), 64) == 64
    assert module._tokens(("who?", "x" * 5000), None) == 5004
    assert module._tokens((["a", "bc"],), None) == 3


def test_the_backbone_is_the_bank_s(
    own: Bank, backbone: Backbone, folder: Path, tmp_path: Path
) -> None:
    """No backbone, several in use and another one than the recorded are refused."""
    with pytest.raises(InputError, match="taskbank init"):
        service_of(own)
    put_moved(own, backbone, "mood")
    other = make_backbone(tmp_path / "other", seed=5)
    with pytest.raises(BackboneMismatchError, match="weights"):
        service_of(own, backbone=str(other))
    own.add_backbone(identity("unused"))
    assert service_of(own).backbone.identity.spec == str(folder)


def test_adapters_are_loaded_in_advance(moods: Bank, backbone: Backbone) -> None:
    """Every served task is loaded before the first request, as far as the memory reaches."""
    put_moved(moods, backbone, "calm")
    service = service_of(moods)
    assert service.preload() == []
    assert len(service.cache) == 2
    small = service_of(moods, memory=1)
    assert small.preload() == []
    assert len(small.cache) == 1
    few = service_of(moods, tasks=["ca*"])
    few.preload()
    assert len(few.cache) == 1


def test_only_chosen_tasks_are_served(served: Bank) -> None:
    """With --task, other tasks are neither listed nor answered."""
    with client_of(served, tasks=["c*"], access_log=False) as client:
        assert [one["task"] for one in client.get("/v1/tasks").json()["tasks"]] == ["calm"]
        assert client.post("/v1/tasks/calm/predict", json=ONE).status_code == 200
        assert "--task" in wrong(client.post(PREDICT, json=ONE), 404, "not-found")


@pytest.mark.server
@pytest.mark.slow
def test_serving_goes_on_while_the_database_restarts(
    tmp_path_factory: pytest.TempPathFactory, backbone: Backbone
) -> None:
    """While PostgreSQL is away, what is loaded answers quickly; then changes are served again."""
    from tests.helpers.servers import Server

    server = Server(tmp_path_factory.mktemp("restart"))
    try:
        with create_bank(server.url) as bank:
            put_moved(bank, backbone, "mood")
            put_moved(bank, backbone, "calm")
            with client_of(bank, canary=0.5, shadow=True) as client:
                assert client.post(PREDICT, json=ONE).status_code == 200
                server.stop()
                for _ in range(20):
                    started = time.perf_counter()
                    assert client.post(PREDICT, json=ONE).status_code == 200
                    assert time.perf_counter() - started < 2
                    time.sleep(0.05)
                lost = client.post("/v1/tasks/calm/predict", json=ONE)
                wrong(lost, 503, "unreachable")
                assert "retry-after" in lost.headers
                assert client.get("/ready").status_code == 200
                server.start()
                put_version(bank, backbone, "mood", 50)
                soon(lambda: client.post(PREDICT, json=ONE).json()["version"] == 2)
                assert client.post("/v1/tasks/calm/predict", json=ONE).status_code == 200
    finally:
        server.close()
