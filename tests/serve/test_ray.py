"""A bank on Ray Serve: what is asked of a deployment, and two replicas of a real one."""

from __future__ import annotations

import builtins
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from taskbank.errors import InputError, MissingExtraError
from taskbank.serve.predictor import Predictor
from taskbank.serve.ray import _typed, build, deployment
from tests.helpers.models import put_moved

TASKS = [f"task-{number}" for number in range(16)]


def test_a_missing_ray_serve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the extra to install."""
    real = builtins.__import__

    def refuse(name: str, *given: Any, **more: Any) -> Any:
        if name.split(".")[0] == "ray":
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"taskbank\[ray-serve\]"):
        deployment(keys="keys.jsonl")
    with pytest.raises(MissingExtraError, match=r"taskbank\[ray-serve\]"):
        build({})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "clients need keys: make one with taskbank keys add"),
        ({"keys": "k", "replicas": "two"}, "replicas is 'two': Input should be a valid integer"),
        ({"keys": "k", "replicas": "0"}, "replicas is 0: it must be at least 1"),
        ({"keys": "k", "preload": "perhaps"}, "preload is 'perhaps': Input should be a valid bool"),
        ({"keys": "k", "memory": "0"}, "memory is 0: it must be at least 1"),
        ({"keys": "k", "colour": "red"}, "the server has no option 'colour'"),
        ({"keys": "k", "bank": "ftp://bank"}, "ftp"),
    ],
)
def test_a_bad_argument_is_refused(given: dict[str, str], message: str) -> None:
    """With its name and value, before anything is deployed."""
    pytest.importorskip("fastapi")
    with pytest.raises(InputError, match=message):
        build(given)


def test_arguments_of_the_command_line_are_texts() -> None:
    """Numbers are read from them, and lists."""
    pytest.importorskip("fastapi")
    application = build(
        {"keys": "k", "replicas": "3", "threads": "2", "deadline": "5.5", "tasks": "a,b*"}
    )
    made = application._bound_deployment
    assert made.num_replicas == 3
    assert made.ray_actor_options["num_cpus"] == 2
    assert made._deployment_config.graceful_shutdown_timeout_s == 6.5
    assert _typed("tasks", "a,b*") == ("a", "b*")


@pytest.fixture
def client(
    cluster: None,
    own: Bank,
    backbone: Backbone,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[httpx2.Client]:
    """A client with a key, of two replicas on a bank with many tasks.

    The bank and the keys are named by relative paths, and replicas have another working directory.
    """
    pytest.importorskip("fastapi")
    from ray import serve

    for name in TASKS:
        put_moved(own, backbone, name)
    assert run(["keys", "add", "tester", "--keys", "keys.jsonl"]) == 0
    key = capsys.readouterr().out.split()[0]
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port}, proxy_location="HeadOnly")
    try:
        serve.run(build({"bank": "own.db", "keys": "keys.jsonl", "replicas": "2"}))
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": f"Bearer {key}"},
            timeout=60,
        ) as opened:
            yield opened
    finally:
        serve.shutdown()


def rows_by_replica(client: httpx2.Client) -> list[dict[str, int]]:
    """Return how many rows of each task the two replicas have answered."""
    found: set[tuple[tuple[str, int], ...]] = set()
    for _ in range(200):  # nobody knows whom the proxy asks
        text = client.get("/metrics").text
        rows = re.findall(r'^taskbank_rows_total{task="([\w-]+)".*} (\d+)', text, re.MULTILINE)
        found.add(tuple((task, int(count)) for task, count in rows))
        if len(found) == 2:
            break
    return [dict(one) for one in found]


@pytest.mark.process
@pytest.mark.slow
def test_two_replicas_answer_those_with_a_key_and_share_the_tasks(
    client: httpx2.Client, own: Bank
) -> None:
    """Every request for a task goes to one replica, and to the other if that one dies."""
    stranger = {"authorization": "Bearer guessed"}
    assert client.get("/v1/tasks", headers=stranger).status_code == 401
    asked = {"inputs": ["a good film"]}
    path = f"/v1/tasks/{TASKS[0]}/predict"
    assert client.post(path, json=asked, headers=stranger).status_code == 401
    assert client.get("/ready", headers=stranger).status_code == 200
    assert client.post(path, content=b" " * (9 << 20)).status_code == 413

    expected = Predictor(own).predict_many([(task, asked["inputs"]) for task in TASKS])
    for _ in range(3):
        for task, (prediction,) in zip(TASKS, expected, strict=True):
            answer = client.post(f"/v1/tasks/{task}/predict", json=asked).json()
            assert answer["predictions"][0]["label"] == prediction.label
            assert answer["predictions"][0]["score"] == pytest.approx(prediction.score, abs=1e-5)
    one, other = rows_by_replica(client)
    assert one.keys().isdisjoint(other)
    assert one | other == dict.fromkeys(TASKS, 3)

    import ray
    from ray.util import list_named_actors

    names = [actor["name"] for actor in list_named_actors(all_namespaces=True)]
    replica = next(name for name in names if name.startswith("SERVE_REPLICA::default#taskbank"))
    ray.kill(ray.get_actor(replica, namespace="serve"))
    until = time.monotonic() + 20
    for task in TASKS:
        while client.post(f"/v1/tasks/{task}/predict", json=asked).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
