"""Requests as clients of text-embeddings-inference send them, against a real server."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from taskbank.bank.bank import Bank
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.tei import error_body
from tests.helpers.every_kind import ask, serving


def post(server: str, ref: str, body: Any) -> httpx2.Response:
    """Send a request to a task."""
    return httpx2.post(f"{server}/models/{ref}/predict", json=body)


def test_one_input_has_a_flat_answer_and_a_batch_a_nested_one(server: str) -> None:
    """A text, a list of one text, and a batch of texts, all with the server's own scores."""
    first, second = ask(server, "single", ["a good day", "a sad film"])
    flat = post(server, "single", {"inputs": "a good day"}).json()
    assert {one["label"]: one["score"] for one in flat} == pytest.approx(first["probabilities"])
    assert flat[0]["score"] >= flat[1]["score"]
    assert post(server, "single", {"inputs": ["a good day"]}).json() == flat
    nested = post(server, "single@1", {"inputs": [["a good day"], ["a sad film"]]}).json()
    for row, own in zip(nested, (first, second), strict=True):
        assert {one["label"]: one["score"] for one in row} == pytest.approx(own["probabilities"])


def test_two_texts_are_a_pair(server: str) -> None:
    """A list of two texts is one input, and in a batch too."""
    (own,) = ask(server, "pair", [["it was good", "sweet day"]])
    flat = post(server, "pair", {"inputs": ["it was good", "sweet day"]}).json()
    assert {one["label"]: one["score"] for one in flat} == pytest.approx(own["probabilities"])
    (row,) = post(server, "pair", {"inputs": [["it was good", "sweet day"]]}).json()
    assert row == flat


def test_raw_scores_are_the_outputs_of_the_head(server: str) -> None:
    """Softmax makes the probabilities of them; a number is itself in any case."""
    raw = post(server, "single", {"inputs": "a good day", "raw_scores": True}).json()
    shares = post(server, "single", {"inputs": "a good day", "raw_scores": False}).json()
    assert [one["label"] for one in raw] == [one["label"] for one in shares]
    assert sum(one["score"] for one in raw) != pytest.approx(1)
    (own,) = ask(server, "regression", ["a good day"])
    for raw_scores in (False, True):
        found = post(server, "regression", {"inputs": "a good day", "raw_scores": raw_scores})
        assert found.json() == [{"label": "value", "score": pytest.approx(own["value"])}]


def test_truncation_can_be_refused(server: str) -> None:
    """Long texts are truncated, unless the client says that they must not be."""
    long = {"inputs": [["good"], ["good " * 100]]}
    assert len(post(server, "single", long).json()) == 2
    right = long | {"truncate": True, "truncation_direction": "Right"}
    assert len(post(server, "single", right).json()) == 2
    found = post(server, "single", long | {"truncate": False})
    assert (found.status_code, found.json()["error_type"]) == (413, "Validation")
    assert "input 2 has more than the 48 tokens that single@1 reads" in found.json()["error"]
    left = post(server, "single", long | {"truncation_direction": "Left"})
    assert left.status_code == 422
    assert "this encoder truncates at the right" in left.json()["error"]


@pytest.mark.parametrize("ref", ["tagging", "span"])
def test_a_task_without_classes_has_status_424(server: str, ref: str) -> None:
    """As a model that is no classifier has there."""
    inputs = "a good film" if ref == "tagging" else ["was it", "a good film"]
    found = post(server, ref, {"inputs": inputs})
    assert (found.status_code, found.json()["error_type"]) == (424, "Backend")
    assert f"{ref}@1 is no classifier" in found.json()["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "inputs must be a text, a pair"),
        ({"inputs": []}, "inputs must be a text, a pair"),
        ({"inputs": [[]]}, "input 1 has 0 texts"),
        ({"inputs": ["a", "b", "c"]}, "inputs has 3 texts"),
        ({"inputs": [["a"], ["a", "b", "c"]]}, "input 2 has 3 texts"),
        ({"inputs": ["a", ["b"]]}, "inputs must be a text, a pair"),
        ({"inputs": " "}, "one text that is not empty"),
        ({"inputs": ["a", "b"]}, "one text that is not empty"),
        ({"inputs": "a", "raw_scores": 1}, "raw_scores is 1: write true or false"),
        ({"inputs": "a", "truncate": "yes"}, "truncate is 'yes'"),
        ({"inputs": "a", "truncation_direction": 1}, "truncation_direction is 1"),
        ({"inputs": "a", "normalize": True}, "key 'normalize' is unknown"),
    ],
)
def test_bad_requests_are_named(server: str, body: Any, said: str) -> None:
    """Whatever does not suit the task or the interface is refused with the reason."""
    found = post(server, "single", body)
    assert (found.status_code, found.json()["error_type"]) == (422, "Validation")
    assert said in found.json()["error"]


def test_limits_have_status_413_and_unknown_tasks_404(every_kind: Bank, server: str) -> None:
    """In the form of the interface."""
    with serving(every_kind, max_rows=2) as url:
        found = post(url, "single", {"inputs": [["a"], ["b"], ["c"]]})
    assert (found.status_code, found.json()["error_type"]) == (413, "Validation")
    assert "at most 2 are allowed" in found.json()["error"]
    found = post(server, "nothing", {"inputs": "a"})
    assert found.status_code == 404
    assert "no task 'nothing'" in found.json()["error"]


def test_an_overload_has_its_type() -> None:
    """Clients that wait and try again look for it."""
    found = error_body(Problem(429, "overloaded", "later"))
    assert found == {"error": "later", "error_type": "Overloaded"}
