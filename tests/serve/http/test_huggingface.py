"""`huggingface_hub.InferenceClient`, unmodified, against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from taskbank.bank.bank import Bank
from taskbank.serve.http.keys import add_key
from tests.helpers.every_kind import ask, serving


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client ask the server of the test, though the suite asks no hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def client_of(server: str, ref: str) -> InferenceClient:
    """Return a client whose model is one task of a server."""
    return InferenceClient(f"{server}/models/{ref}")


def post(server: str, ref: str, body: Any) -> httpx2.Response:
    """Send what the client has no method for."""
    return httpx2.post(f"{server}/models/{ref}", json=body)


@pytest.mark.parametrize("ref", ["single", "single@1", "single@live", "multilabel"])
def test_the_client_gets_every_class(server: str, ref: str) -> None:
    """All labels with the probabilities of the server's own answer, the largest first."""
    found = client_of(server, ref).text_classification("a good sweet day")
    (own,) = ask(server, ref, ["a good sweet day"])
    assert {one.label: one.score for one in found} == pytest.approx(own["probabilities"])
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_base_url_works_as_well(server: str) -> None:
    """The client takes the URL of a task under either name."""
    client = InferenceClient(base_url=f"{server}/models/single")
    assert len(client.text_classification("a good day")) == 2


def test_the_client_limits_the_classes_and_chooses_the_function(server: str) -> None:
    """`top_k` keeps the best, and `function_to_apply` starts from the outputs of the head."""
    client = client_of(server, "single")
    best, other = client.text_classification("a good day")
    assert client.text_classification("a good day", top_k=1) == [best]
    raw = client.text_classification("a good day", function_to_apply="none")
    sigmoid = client.text_classification("a good day", function_to_apply="sigmoid")
    softmax = client.text_classification("a good day", function_to_apply="softmax")
    assert [one.label for one in softmax] == [best.label, other.label]
    assert softmax[0].score == pytest.approx(best.score)
    assert sigmoid[0].score != pytest.approx(best.score)
    assert raw[0].score - raw[1].score > 0


def test_the_client_finds_entities(server: str) -> None:
    """Each with its place in the text, without those of ignored labels."""
    text = "the sad, happy great film"
    client = client_of(server, "tagging")
    found = client.token_classification(text)
    (own,) = ask(server, "tagging", [text])
    assert [one.word for one in found] == [one["text"] for one in own["entities"]]
    assert found
    for one, entity in zip(found, own["entities"], strict=True):
        assert text[one.start : one.end] == one.word
        assert one.entity_group == entity["type"]
        assert one.score == pytest.approx(entity["score"])
    groups = [one.entity_group for one in found]
    assert client.token_classification(text, aggregation_strategy="max") == found
    assert client.token_classification(text, ignore_labels=groups) == []


def test_the_client_answers_questions(server: str) -> None:
    """One answer with its place; no answer is the empty text at 0, as in a pipeline."""
    client = client_of(server, "span")
    found: Any = client.question_answering("was it", "the film was good bad")
    (own,) = ask(server, "span", [["was it", "the film was good bad"]])
    assert found.answer == own["answer"] == "the film was good bad"[found.start : found.end]
    assert found.score == pytest.approx(own["score"])
    assert client.question_answering("was it", "the film was good bad", top_k=1) == found
    none: Any = client.question_answering("was it", "the film was very very cold")
    if not none.answer:
        assert (none.start, none.end) == (0, 0)


def test_pairs_and_batches_are_those_of_pipelines(server: str) -> None:
    """Objects with `text` and `text_pair`, lists of inputs, and a number as one class."""
    pair = {"text": "it was good", "text_pair": "sweet day"}
    (found,) = post(server, "pair", {"inputs": pair}).json()
    (own,) = ask(server, "pair", [["it was good", "sweet day"]])
    assert {one["label"]: one["score"] for one in found} == pytest.approx(own["probabilities"])
    both = post(server, "pair", {"inputs": [pair, ["it was bad", "good day"]]}).json()
    assert [len(one) for one in both] == [2, 2]
    assert post(server, "single", {"inputs": {"text": "good"}}).json() == (
        post(server, "single", {"inputs": "good", "options": {"use_cache": False}}).json()
    )
    (number,) = ask(server, "regression", ["a good day"])
    assert post(server, "regression", {"inputs": "a good day"}).json() == [
        [{"label": "value", "score": pytest.approx(number["value"])}]
    ]
    words = post(server, "tagging", {"inputs": ["the sad film", "the"]}).json()
    assert [len(one) for one in words] == [1, 0]
    questions = {"question": "was it", "context": "the film was good bad"}
    assert len(post(server, "span", {"inputs": [questions, questions]}).json()) == 2


def test_the_client_hears_what_was_wrong(server: str) -> None:
    """Its error has the status and the words of the server."""
    with pytest.raises(HfHubHTTPError, match="no task 'nothing'") as missing:
        client_of(server, "nothing").text_classification("a good day")
    assert missing.value.response.status_code == 404
    with pytest.raises(HfHubHTTPError, match="takes one text that is not empty") as blank:
        client_of(server, "single").text_classification(" ")
    assert blank.value.response.status_code == 422


def test_the_token_of_the_client_is_the_servers_key(every_kind: Bank, tmp_path: Path) -> None:
    """The client sends it as the hub's, and without one it is refused."""
    secret = add_key(tmp_path / "keys", "tester", "read")
    with serving(every_kind, keys=tmp_path / "keys") as url:
        client = InferenceClient(f"{url}/models/single", token=secret)
        assert len(client.text_classification("a good day")) == 2
        with pytest.raises(HfHubHTTPError) as refused:
            client_of(url, "single").text_classification("a good day")
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("ref", "body", "said"),
    [
        ("single", {}, "inputs must be a text"),
        ("single", {"inputs": 3}, "inputs must be a text"),
        ("single", {"inputs": []}, "nothing to predict"),
        ("single", {"inputs": "x", "input": "x"}, "key 'input' is unknown"),
        ("single", {"inputs": {"text": "x", "text_pair": "y"}}, "takes one text"),
        ("pair", {"inputs": {"text": "x"}}, "takes 2 texts"),
        ("single", {"inputs": "x", "parameters": []}, "parameters must be an object"),
        ("single", {"inputs": "x", "parameters": {"top_k": 0}}, "top_k is 0: write a number"),
        ("single", {"inputs": "x", "parameters": {"top_k": True}}, "top_k is True"),
        ("single", {"inputs": "x", "parameters": {"stride": 1}}, "'stride' cannot be set"),
        ("single", {"inputs": "x", "parameters": {"function_to_apply": "x"}}, "one of none, sig"),
        ("regression", {"inputs": "x", "parameters": {"function_to_apply": "softmax"}}, "number"),
        ("tagging", {"inputs": "x", "parameters": {"aggregation_strategy": "none"}}, "simple"),
        ("tagging", {"inputs": "x", "parameters": {"ignore_labels": "O"}}, "a list of labels"),
        (
            "span",
            {"inputs": {"question": "x", "context": "y"}, "parameters": {"top_k": 2}},
            "only the best answer",
        ),
    ],
)
def test_bad_requests_are_named(server: str, ref: str, body: Any, said: str) -> None:
    """Whatever does not suit the task or the interface is refused with the reason."""
    found = post(server, ref, body)
    assert found.status_code == 422, found.text
    assert said in found.json()["error"]
