"""Triton's client, unmodified, against a real server: with binary data, its default, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from taskbank.bank.bank import Bank
from taskbank.serve.http.keys import add_key
from tests.helpers.adapters import as_new
from tests.helpers.every_kind import ask, serving
from tests.helpers.models import put_moved

TEXTS = ["a good sweet day", "a sad film", "ein schöner Tag ☀"]


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    """Triton's client of the server."""
    with triton.InferenceServerClient(server.removeprefix("http://")) as made:
        yield made


def tensor(
    texts: list[str], name: str = "text", *, column: bool = False, binary: bool = True
) -> Any:
    """Return an input of the client."""
    values = np.array([text.encode() for text in texts], dtype=object)
    values = values[:, None] if column else values
    made = triton.InferInput(name, list(values.shape), "BYTES")
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def texts_of(result: Any, name: str) -> list[str]:
    """Return an output of texts."""
    return [one if isinstance(one, str) else one.decode() for one in result.as_numpy(name)]


def test_the_client_asks_for_health_and_metadata(client: Any) -> None:
    """Of the server, of a task, and of a version of it."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    for name, version in (("single", ""), ("single", "1"), ("single@live", ""), ("single@1", "")):
        assert client.is_model_ready(name, version)
        metadata = client.get_model_metadata(name, version)
        assert (metadata["name"], metadata["versions"]) == (name, ["1"])
        assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert metadata["outputs"] == [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ]
        assert metadata["parameters"]["labels"] == ["bad", "good"]
    assert not client.is_model_ready("nothing")
    assert not client.is_model_ready("single", "2")


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_texts_are_classified(client: Any, server: str, column: bool, binary: bool) -> None:
    """Labels and probabilities are the server's own, for both shapes and both forms of data."""
    found = client.infer("single", [tensor(TEXTS, column=column, binary=binary)])
    own = ask(server, "single", TEXTS)
    assert texts_of(found, "label") == [one["label"] for one in own]
    shares = found.as_numpy("probabilities")
    assert (shares.dtype, shares.shape) == (np.float32, (3, 2))
    for row, one in zip(shares, own, strict=True):
        assert row.tolist() == pytest.approx(list(one["probabilities"].values()))
    response = found.get_response()
    assert (response["model_name"], response["model_version"]) == ("single", "1")
    assert "binary_data_size" in found.get_output("label")["parameters"]


def test_the_client_compresses(client: Any) -> None:
    """The length of the JSON is that before compression."""
    plain = client.infer("single", [tensor(TEXTS)])
    for algorithm in ("gzip", "deflate"):
        found = client.infer("single", [tensor(TEXTS)], request_compression_algorithm=algorithm)
        assert texts_of(found, "label") == texts_of(plain, "label")


def test_the_client_chooses_outputs_and_their_form(client: Any) -> None:
    """Each requested output comes in its order, as binary data or as JSON."""
    outputs = [
        triton.InferRequestedOutput("probabilities", binary_data=False),
        triton.InferRequestedOutput("label", binary_data=True),
    ]
    found = client.infer("single", [tensor(TEXTS)], outputs=outputs, request_id="one")
    response = found.get_response()
    assert [one["name"] for one in response["outputs"]] == ["probabilities", "label"]
    assert response["id"] == "one"
    assert "data" in response["outputs"][0]
    labels = texts_of(found, "label")
    size = sum(4 + len(label) for label in labels)
    assert response["outputs"][1]["parameters"] == {"binary_data_size": size}
    only = [triton.InferRequestedOutput("label", binary_data=False)]
    found = client.infer("single", [tensor(TEXTS, binary=False)], outputs=only)
    assert found.get_response()["outputs"][0]["data"] == texts_of(found, "label")


def test_two_texts_are_two_inputs(client: Any, server: str) -> None:
    """With the names of the task's fields, in any order."""
    inputs = [tensor(["sweet day"], "text_b"), tensor(["it was good"], "text_a")]
    found = client.infer("pair", inputs)
    (own,) = ask(server, "pair", [["it was good", "sweet day"]])
    assert found.as_numpy("probabilities")[0].tolist() == pytest.approx(
        list(own["probabilities"].values())
    )


def test_other_kinds_have_outputs_of_their_own(client: Any, server: str) -> None:
    """A number its score, a span its place, words their entities."""
    found = client.infer("regression", [tensor(["a good day"])])
    (own,) = ask(server, "regression", ["a good day"])
    assert found.as_numpy("score").tolist() == [pytest.approx(own["value"])]
    context = "the film was good bad"
    found = client.infer("span", [tensor(["was it"], "question"), tensor([context], "context")])
    (own,) = ask(server, "span", [["was it", context]])
    places = (found.as_numpy("start")[0], found.as_numpy("end")[0])
    if own["start"] is None:
        assert places == (-1, -1)
    else:
        assert context[slice(*places)] == texts_of(found, "label")[0] == own["answer"]
    found = client.infer("tagging", [tensor(["the sad, happy film"])])
    (own,) = ask(server, "tagging", ["the sad, happy film"])
    (entities,) = texts_of(found, "entities")
    assert [one["text"] for one in json.loads(entities)] == [one["text"] for one in own["entities"]]


def test_versions_are_the_tasks_versions(own: Bank, backbone: Any) -> None:
    """An older one is asked for by its number, and every answer says which it is."""
    put_moved(own, backbone, "mood")
    own.put(replace(as_new(own, own["mood"]), request="again"), new_version=True)
    with (
        serving(own) as url,
        triton.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        assert client.get_model_metadata("mood")["versions"] == ["1", "2"]
        for version in ("", "1"):
            found = client.infer("mood", [tensor(["good"])], model_version=version)
            assert found.get_response()["model_version"] == (version or "2")


def test_the_client_raises_the_servers_words(client: Any) -> None:
    """Its error has the status and what was wrong."""
    with pytest.raises(InferenceServerException, match="no task 'nothing'") as missing:
        client.infer("nothing", [tensor(TEXTS)])
    assert missing.value.status() == "404"
    with pytest.raises(InferenceServerException, match="none of the task's: it has text"):
        client.infer("single", [tensor(TEXTS, "words")])
    with pytest.raises(InferenceServerException, match="differ in their numbers of texts"):
        client.infer("pair", [tensor(["a", "b"], "text_a"), tensor(["a"], "text_b")])
    with pytest.raises(InferenceServerException, match="input 'text_b' is missing"):
        client.infer("pair", [tensor(["a", "b"], "text_a")])
    with pytest.raises(InferenceServerException, match="input 2 is ' '"):
        client.infer("single", [tensor(["good", " "])])
    wanted = [triton.InferRequestedOutput("label", class_count=2)]
    with pytest.raises(InferenceServerException, match="classification of output label is not"):
        client.infer("single", [tensor(TEXTS)], outputs=wanted)


def test_a_key_is_a_header(every_kind: Bank, tmp_path: Path) -> None:
    """Of every request but the probes."""
    secret = add_key(tmp_path / "keys", "tester", "read")
    with (
        serving(every_kind, keys=tmp_path / "keys") as url,
        triton.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        assert client.is_server_live()
        assert client.is_server_ready()
        headers = {"Authorization": f"Bearer {secret}"}
        assert client.infer("single", [tensor(TEXTS)], headers=headers)
        with pytest.raises(InferenceServerException, match="a key is needed") as refused:
            client.infer("single", [tensor(TEXTS)])
    assert refused.value.status() == "401"


INPUT: dict[str, Any] = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("single", {}, "inputs must be a list of tensors"),
        ("single", {"inputs": [INPUT], "id": 3}, "id is 3"),
        ("single", {"inputs": [INPUT], "more": 3}, "key 'more' is unknown"),
        ("single", {"inputs": [INPUT], "outputs": "label"}, "outputs must be a list"),
        ("single", {"inputs": [INPUT], "outputs": ["label"]}, "is none of the task's"),
        ("single", {"inputs": [INPUT], "outputs": [{"name": "start"}]}, "'start' is none"),
        ("single", {"inputs": [INPUT], "outputs": [{"name": ["label"]}]}, "is none of the"),
        ("single", {"inputs": [INPUT], "outputs": 2 * [{"name": "label"}]}, "given twice"),
        ("single", {"inputs": [INPUT], "parameters": 1}, "parameters of the request must"),
        (
            "single",
            {"inputs": [INPUT], "parameters": {"binary_data_output": "yes"}},
            "binary_data_output of the request is 'yes'",
        ),
        ("single/versions/one", {"inputs": [INPUT]}, "is no task with a version's number"),
        ("single@1/versions/1", {"inputs": [INPUT]}, "is no task with a version's number"),
    ],
)
def test_bad_requests_are_named(server: str, path: str, body: Any, said: str) -> None:
    """Whatever does not suit the task or the protocol is refused with the reason."""
    found = httpx2.post(f"{server}/v2/models/{path}/infer", json=body)
    assert found.status_code == 422, found.text
    assert said in found.json()["error"]
