"""The server's own interface answers as `taskbank predict` does, and refuses the rest by name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from taskbank.bank.bank import Bank
from taskbank.serve.predictor import Predictor
from tests.helpers.models import texts
from tests.helpers.serving import client_of, wrong
from tests.helpers.tampering import rewrite

PREDICT = "/v1/predict"


def predict(task: str) -> str:
    """Return the path that predicts with a task."""
    return f"/v1/tasks/{task}/predict"


@pytest.fixture(scope="module")
def client(served: Bank) -> Iterator[TestClient]:
    """A client of a server of the bank."""
    with client_of(served, access_log=False, max_rows=200, max_tokens=3000) as made:
        yield made


@pytest.fixture(scope="module")
def predictor(served: Bank) -> Predictor:
    """What `taskbank predict` predicts with."""
    return Predictor(served)


def same(found: list[dict[str, Any]], predictor: Predictor, ref: str, inputs: list[str]) -> None:
    """Compare predictions with those of `taskbank predict`."""
    for one, other in zip(found, predictor.predict(ref, inputs), strict=True):
        wanted = other.to_json()
        assert one["score"] == pytest.approx(wanted.pop("score"), abs=1e-5)
        assert one["probabilities"] == pytest.approx(wanted.pop("probabilities"), abs=1e-5)
        assert one.items() >= wanted.items()


def test_one_task_answers(client: TestClient, served: Bank, predictor: Predictor) -> None:
    """The answer says task, version and digest, in the body and the headers."""
    inputs = texts(30)
    for ref, version in (("mood", 2), ("mood@1", 1), ("calm", 1)):
        response = client.post(predict(ref), json={"inputs": inputs})
        body = response.json()
        name = ref.partition("@")[0]
        digest = served[ref].digest
        assert (body["task"], body["version"], body["digest"]) == (name, version, digest)
        assert response.headers["x-taskbank-task"] == name
        assert response.headers["x-taskbank-version"] == str(version)
        assert response.headers["x-taskbank-digest"] == digest
        same(body["predictions"], predictor, ref, inputs)


def test_inputs_may_be_named(client: TestClient) -> None:
    """An input is a text, or an object with the names of its fields."""
    plain = client.post(predict("calm"), json={"inputs": ["good film"]}).json()
    named = client.post(predict("calm"), json={"inputs": [{"text": "good film"}]}).json()
    assert plain["predictions"][0]["label"] == named["predictions"][0]["label"]


@pytest.mark.slow
def test_mixed_rows_are_answered_by_their_tasks(
    client: TestClient, served: Bank, predictor: Predictor
) -> None:
    """Rows of several tasks in any order each get the answer of their own task."""
    refs = ["mood", "calm", "mood@1", "film"]
    rows = [{"task": refs[number % 4], "input": text} for number, text in enumerate(texts(60))]
    found = client.post(PREDICT, json={"rows": rows}).json()["predictions"]
    for row, one in zip(rows, found, strict=True):
        assert one["digest"] == served[row["task"]].digest
        same([one], predictor, row["task"], [row["input"]])


def test_one_text_for_many_tasks(client: TestClient, predictor: Predictor) -> None:
    """Names and patterns choose tasks, each once; what fails of a pattern is listed as skipped."""
    inputs = ["the film was good"]
    body = client.post(PREDICT, json={"inputs": inputs, "tasks": ["[cfm]*", "mood", "mood@1"]})
    results = body.json()["results"]
    assert sorted((one["task"], one["version"]) for one in results) == [
        ("calm", 1), ("film", 1), ("mood", 1), ("mood", 2),
    ]  # fmt: skip
    for one in results:
        same(one["predictions"], predictor, f"{one['task']}@{one['version']}", inputs)
    both = client.post(PREDICT, json={"inputs": inputs, "tasks": ["*"]}).json()
    (skipped,) = both["skipped"]
    assert skipped["task"] == "nan"
    assert "NaN" in skipped["problem"]["detail"]
    assert len(both["results"]) == 3
    named = client.post(PREDICT, json={"inputs": inputs, "tasks": ["calm", "nan"]})
    assert "NaN" in wrong(named, 503, "damaged")


def test_an_unknown_task_is_not_found(client: TestClient) -> None:
    """A name, version, alias or pattern that means nothing is 404, however it is asked for."""
    for ref in ("none", "mood@9", "mood@none", "mood@", "@", "x" * 1000, "a.b-c%20d", "%F0%9F"):
        wrong(client.post(predict(ref), json={"inputs": ["x"]}), 404, "not-found")
    wrong(client.get("/v1/tasks/none"), 404, "not-found")
    for body in (
        {"rows": [{"task": "none", "input": "x"}]},
        {"inputs": ["x"], "tasks": ["none"]},
        {"inputs": ["x"], "tasks": ["z*"]},
        {"rows": [{"task": "a." * 1_000_000, "input": "x"}]},
    ):
        wrong(client.post(PREDICT, json=body), 404, "not-found")


def test_nan_is_an_error(client: TestClient) -> None:
    """A task whose outputs are NaN answers 503 with what to do."""
    detail = wrong(client.post(predict("nan"), json={"inputs": ["x", "y"]}), 503, "damaged")
    assert "verify-all" in detail


def test_a_damaged_task_is_refused_with_its_finding(moods: Bank) -> None:
    """A changed row and changed weights are 503 with what was found; other tasks are served."""
    moods.put(_copy(moods))
    with client_of(moods, access_log=False) as client:
        rewrite(moods, "UPDATE adapters SET description = 'x' WHERE version = 2")
        detail = wrong(client.post(predict("mood"), json={"inputs": ["x"]}), 503, "damaged")
        assert "was changed" in detail
        digest = moods["mood@1"].digest
        rewrite(moods, "UPDATE blobs SET data = zeroblob(10) WHERE digest = ?", digest)
        wrong(client.post(predict("mood@1"), json={"inputs": ["x"]}), 503, "damaged")
        assert client.post(predict("other"), json={"inputs": ["x"]}).status_code == 200


@pytest.mark.parametrize(
    "inputs",
    [[], None, "x", {}, [None], [1], [[]], [["a", "b"]], [{}], [{"text": 1}], [""], [" "],
     ["\ud800"], ["\x00"], [True], [{"text": "a", "x": 1}], [["a"], "b"], [[[[]]]]],
)  # fmt: skip
def test_inputs_of_another_form_are_refused(client: TestClient, inputs: Any) -> None:
    """Whatever the inputs are, the answer is 422 and short."""
    response = client.post(predict("calm"), content=json.dumps({"inputs": inputs}))
    assert response.status_code == 422, response.text
    assert len(response.content) < 1000


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"rows": []}, {"rows": "x"}, {"rows": [1]}, {"rows": [{"task": "calm"}]},
        {"rows": [{"task": 1, "input": "x"}]}, {"rows": [{"task": "calm", "input": "x"}], "x": 1},
        {"inputs": ["x"]}, {"inputs": ["x"], "tasks": []}, {"inputs": ["x"], "tasks": "calm"},
        {"inputs": ["x"], "tasks": [1]}, {"tasks": ["calm"]}, {"inputs": ["x"], "task": "calm"},
        {"rows": [{"task": "\ud800", "input": "x"}]},
    ],
)  # fmt: skip
def test_bodies_of_another_form_are_refused(client: TestClient, body: Any) -> None:
    """Whatever the body is, the answer is 422."""
    assert client.post(PREDICT, content=json.dumps(body)).status_code == 422


def test_limits_say_which(client: TestClient) -> None:
    """Too many inputs, rows, tokens and patterns are refused with the name of the limit."""
    many = ["x"] * 201
    for path, body, kind, option in (
        (predict("calm"), {"inputs": many}, "row", "--max-rows"),
        (PREDICT, {"rows": [{"task": "calm", "input": "x"}] * 201}, "row", "--max-rows"),
        (PREDICT, {"inputs": ["x"] * 70, "tasks": ["mood", "calm", "film"]}, "row", "--max-rows"),
        (PREDICT, {"inputs": ["x"], "tasks": [f"t{n}" for n in range(201)]}, "row", "--max-rows"),
        (predict("calm"), {"inputs": ["word " * 20] * 190}, "token", "--max-tokens"),
        (PREDICT, {"inputs": ["x"], "tasks": [f"{n}*" for n in range(101)]}, "pattern", "100"),
        (PREDICT, {"inputs": ["x"], "tasks": ["[!" * 50_000]}, "pattern", "characters"),
    ):
        started = time.perf_counter()
        assert option in wrong(client.post(path, json=body), 413, f"{kind}-limit")
        assert time.perf_counter() - started < 2


def test_a_pattern_that_is_repeated_is_asked_once(client: TestClient) -> None:
    """The same pattern ten thousand times is one."""
    body = {"inputs": ["x"], "tasks": ["calm", "c*"] * 5_000}
    assert len(client.post(PREDICT, json=body).json()["results"]) == 1


def test_tasks_are_listed_in_pages(client: TestClient) -> None:
    """Pages follow each other, a query chooses, and each task says what it takes."""
    page = client.get("/v1/tasks?limit=2").json()
    assert [one["task"] for one in page["tasks"]] == ["calm", "film"]
    assert page["tasks"][0]["inputs"] == [{"name": "text", "type": "text"}]
    assert page["tasks"][0]["labels"] == ["no", "yes"] or page["tasks"][0]["labels"]
    rest = client.get(f"/v1/tasks?after={page['next']}").json()
    assert [one["task"] for one in rest["tasks"]] == ["mood", "mood", "nan"]
    assert rest["next"] is None
    chosen = client.get("/v1/tasks", params={"query": "task = 'film'"}).json()
    assert [one["task"] for one in chosen["tasks"]] == ["film"]
    for query in (
        "limit=0", "limit=-1", "limit=1001", "limit=x", "limit=%C2%B2", "limit=" + "9" * 5000,
        "after=1e3", "after=99999999999", "query=%00", "query=task",
    ):  # fmt: skip
        assert client.get(f"/v1/tasks?{query}").status_code == 422, query


def test_one_version_is_shown(client: TestClient, served: Bank) -> None:
    """Everything that is recorded of a version is shown, its metrics too."""
    shown = client.get("/v1/tasks/mood").json()
    assert (shown["version"], shown["digest"]) == (2, served["mood"].digest)
    assert shown["metrics"]
    assert client.get("/v1/tasks/mood/live").json() == {"task": "mood", "comparisons": []}


def _copy(bank: Bank) -> Any:
    from dataclasses import replace

    from tests.helpers.adapters import as_new

    return replace(as_new(bank, bank["mood@2"]), task="other")
