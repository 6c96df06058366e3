"""OpenAI's client, unmodified, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from taskbank.bank.bank import Bank
from taskbank.serve.http.keys import add_key
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.vllm import error_body
from tests.helpers.every_kind import ask, serving
from tests.helpers.models import put_moved


@pytest.fixture
def client(server: str) -> Iterator[openai.OpenAI]:
    """OpenAI's client of the server."""
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as made:
        yield made


def classify(client: openai.OpenAI, **body: Any) -> Any:
    """Send a request to `/v1/classify`, as the client has no method for it."""
    return client.post("/classify", body=body, cast_to=object)


def test_tasks_are_models(client: openai.OpenAI) -> None:
    """The client lists them, and shows one by its name, a version of it, or an alias."""
    models = {model.id: model for model in client.models.list()}
    assert sorted(models) == ["multilabel", "pair", "regression", "single", "span", "tagging"]
    for ref in ("single", "single@1", "single@live"):
        model: Any = client.models.retrieve(ref)
        assert (model.id, model.owned_by, model.root) == (ref, "taskbank", "single@1")
        assert model.labels == ["bad", "good"]
        assert model.created == models["single"].created


def test_a_bank_whose_tasks_are_not_served_has_no_models(own: Bank, backbone: Any) -> None:
    """The list is empty then."""
    put_moved(own, backbone, "mood")
    with (
        serving(own, tasks=("ticket-*",)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert list(client.models.list()) == []


@pytest.mark.parametrize("ref", ["single", "single@1", "single@live", "multilabel"])
def test_texts_are_classified(client: openai.OpenAI, server: str, ref: str) -> None:
    """Labels and probabilities are the server's own, in the order of the model's labels."""
    texts = ["a good sweet day", "a sad film"]
    found = classify(client, model=ref, input=texts)
    assert (found["object"], found["model"]) == ("list", ref)
    labels = client.models.retrieve(ref).model_extra["labels"]
    for index, (row, own) in enumerate(zip(found["data"], ask(server, ref, texts), strict=True)):
        assert (row["index"], row["label"], row["num_classes"]) == (index, own["label"], 2)
        shares = dict(zip(labels, row["probs"], strict=True))
        assert shares == pytest.approx(own["probabilities"])
    # [CLS] a good sweet day [SEP], and [CLS] a sad film [SEP]
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] == 11


def test_both_paths_take_one_text(client: openai.OpenAI, server: str) -> None:
    """vLLM has `/classify` and `/v1/classify`."""
    (row,) = classify(client, model="single", input="a good day")["data"]
    plain = openai.OpenAI(base_url=server, api_key="none", max_retries=0)
    (other,) = classify(plain, model="single", input="a good day", user="me")["data"]
    assert row == other


def test_pairs_and_numbers_are_classified(client: openai.OpenAI, server: str) -> None:
    """A pair is a list of two texts in the list; a number is the only class."""
    (row,) = classify(client, model="pair", input=[["it was good", "sweet day"]])["data"]
    (own,) = ask(server, "pair", [["it was good", "sweet day"]])
    assert row["probs"] == pytest.approx(list(own["probabilities"].values()))
    (row,) = classify(client, model="regression", input="a good day")["data"]
    (own,) = ask(server, "regression", ["a good day"])
    assert (row["probs"], row["num_classes"]) == ([pytest.approx(own["value"])], 1)


def test_the_client_raises_its_own_errors(client: openai.OpenAI) -> None:
    """By status, with the server's words."""
    with pytest.raises(openai.NotFoundError, match="no task 'nothing'") as missing:
        classify(client, model="nothing", input="a good day")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="no task 'nothing'"):
        client.models.retrieve("nothing")
    with pytest.raises(openai.BadRequestError, match="not JSON"):
        client.post("/classify", content=b"{", cast_to=object)


def test_the_key_of_the_client_is_the_servers(every_kind: Bank, tmp_path: Path) -> None:
    """The client sends it as OpenAI's, and another is refused."""
    secret = add_key(tmp_path / "keys", "tester", "read")
    with serving(every_kind, keys=tmp_path / "keys") as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as client:
            assert classify(client, model="single", input="a good day")["data"]
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="other", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError, match="401"),
        ):
            client.models.list()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"input": "a"}, "model must be the name of a task"),
        ({"model": 1, "input": "a"}, "model must be the name of a task"),
        ({"model": "single"}, "input must be a text"),
        ({"model": "single", "input": {"text": "a"}}, "input must be a text"),
        ({"model": "single", "input": []}, "nothing to predict"),
        ({"model": "single", "input": [1, 2]}, "input 1 is 1"),
        ({"model": "single", "input": "a", "activation": False}, "'activation' is unknown"),
        ({"model": "tagging", "input": "a"}, "tagging@1 is no classifier"),
    ],
)
def test_bad_requests_are_named(client: openai.OpenAI, body: Any, said: str) -> None:
    """Whatever does not suit the task or the interface is refused with the reason."""
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        classify(client, **body)
    assert said in refused.value.message
    assert refused.value.type == "invalid_request_error"


def test_errors_have_the_types_of_openai() -> None:
    """Too much at once, and faults of the server, are told apart from bad requests."""
    types = {429: "rate_limit_error", 503: "server_error", 422: "invalid_request_error"}
    for status, name in types.items():
        assert error_body(Problem(status, "kind", "said"))["error"] == {
            "message": "said",
            "type": name,
            "param": None,
            "code": "kind",
        }
