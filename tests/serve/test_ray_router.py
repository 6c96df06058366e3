"""Which replica a request is sent to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("fastapi")

from ray.serve._private.proxy_request_response import ASGIProxyRequest

from taskbank.serve.ray_router import BUSY, TaskRouter, task_of

REPLICAS = [SimpleNamespace(replica_id=SimpleNamespace(unique_id=name)) for name in "abcd"]


def request(path: str, model: str = "") -> Any:
    """Return a request as Ray's proxy hands it to a router."""
    scope = {
        "type": "http",
        "path": path,
        "raw_path": path.encode(),
        "headers": [(b"accept", b"*/*")],
    }
    return SimpleNamespace(
        args=[ASGIProxyRequest(scope, None, None).serialized_replica_arg("proxy")],
        metadata=SimpleNamespace(multiplexed_model_id=model),
        routing_context=SimpleNamespace(should_backoff=False),
    )


def order(
    asked: Any, replicas: list[Any] = REPLICAS, waiting: dict[str, int] | None = None
) -> list[list[str]]:
    """Return the names of the replicas that a router chooses."""
    router: Any = TaskRouter.__new__(TaskRouter)
    by_name = waiting or {}
    router._replica_queue_len_cache = SimpleNamespace(get=lambda one: by_name.get(one.unique_id))
    chosen = asyncio.run(router.choose_replicas(replicas, asked))
    return [[one.replica_id.unique_id for one in group] for group in chosen]


@pytest.mark.parametrize(
    ("path", "task"),
    [
        ("/v1/tasks/mood/predict", "mood"),
        ("/v1/tasks/mood@3/predict", "mood"),
        ("/bank/v1/tasks/a.b-c_1/live", "a.b-c_1"),
        ("/models/mood", "mood"),
        ("/models/mood@production/predict", "mood"),
        ("/v2/models/mood/versions/2/infer", "mood"),
        ("/v1/predict", ""),
        ("/v1/tasks", ""),
        ("/metrics", ""),
    ],
)
def test_a_path_names_its_task(path: str, task: str) -> None:
    """In every interface of the server, whatever the version; or Ray's header does."""
    assert task_of(request(path)) == task
    assert task_of(request(path, "other")) == "other"
    nothing: Any = SimpleNamespace(args=[], metadata=SimpleNamespace(multiplexed_model_id=""))
    assert task_of(nothing) == ""


def test_a_task_keeps_its_replica() -> None:
    """Requests for a task have one order; when a replica goes, other tasks stay where they are."""
    firsts = {}
    for number in range(200):
        asked = request(f"/v1/tasks/task-{number}/predict")
        ranks = order(asked)
        assert asked.routing_context.should_backoff
        assert ranks[:-1] == order(asked, REPLICAS[::-1])[:-1]
        firsts[number] = ranks[0]
        fewer = order(asked, REPLICAS[1:])
        assert fewer[:-1] == [rank for rank in ranks[:-1] if rank != ["a"]]
    for name in "abcd":  # 50 are expected, with a standard deviation of 6
        assert 25 < list(firsts.values()).count([name]) < 75


def test_a_busy_replica_is_passed_over() -> None:
    """The next one of the task's order is asked; if all are busy, two at random."""
    asked = request("/models/mood")
    first, second, *_ = order(asked)
    assert order(asked, waiting={first[0]: BUSY - 1})[0] == first
    assert order(asked, waiting={first[0]: BUSY})[0] == second
    (some,) = order(asked, waiting=dict.fromkeys("abcd", BUSY))
    assert len(set(some)) == 2


def test_a_request_without_a_task_goes_anywhere() -> None:
    """To the one of two that has less to do, of which Ray takes care; also if there is only one."""
    drawn = [order(request("/v1/predict")) for _ in range(100)]
    assert {len(group) for (group,) in drawn} == {2}
    assert {name for (group,) in drawn for name in group} == set("abcd")
    assert order(request("/metrics"), REPLICAS[:1]) == [["a"]]
    assert order(None, REPLICAS[:1]) == [["a"]]
