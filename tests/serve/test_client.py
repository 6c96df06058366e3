"""The client of a server predicts as a `Predictor` does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.cli.main import run
from taskbank.serve.client import Client, _chunks
from taskbank.serve.http.keys import add_key
from taskbank.serve.prediction import Prediction
from tests.helpers.every_kind import serving

INPUTS: dict[str, list[Any]] = {
    "single": ["good day", "bad day"],
    "multilabel": ["good day", "bad day"],
    "regression": ["good day"],
    "pair": [("good day", "bad day")],
    "tagging": [["good", "day"], "bad day"],
    "span": [("what", "good day today")],
}


def rounded(predictions: list[Prediction]) -> list[Prediction]:
    """Return predictions without what rounding may change."""
    return [replace(one, score=round(one.score, 4), details={}) for one in predictions]


@pytest.mark.slow
def test_a_client_predicts_every_kind_as_the_process_does(every_kind: Bank, server: str) -> None:
    """Tasks of every kind give the same predictions through the server, alone and together."""
    predictor = taskbank.Predictor(every_kind)
    with taskbank.connect(server) as client:
        for kind, inputs in INPUTS.items():
            own, remote = predictor.predict(kind, inputs), client.predict(kind, inputs)
            assert rounded(own) == rounded(remote), kind
            assert own[0].details.keys() == remote[0].details.keys()
        texts = ["good day", "bad day", "very good"]
        asked = [("single", texts), ("multilabel", texts), ("single@live", texts)]
        for one, other in zip(
            predictor.predict_many(asked), client.predict_many(asked), strict=True
        ):
            assert rounded(one) == rounded(other)


@pytest.mark.slow
def test_a_client_takes_every_form_of_inputs(server: str) -> None:
    """One text, an array and a data frame give what a list of texts gives."""
    texts = ["good day", "bad day"]
    with taskbank.connect(server) as client:
        wanted = rounded(client.predict("single", texts))
        assert rounded(client.predict("single", texts[0])) == wanted[:1]
        assert rounded(client.predict("single", np.array(texts))) == wanted
        assert rounded(client.predict("single", pd.DataFrame({"text": texts}))) == wanted
        assert [task["task"] for task in client.tasks('kind = "span"')] == ["span"]
        assert client.task("single@live").ref == "single@1"
        assert client.comparisons("single") == []


@pytest.mark.slow
def test_errors_of_the_server_are_those_of_the_process(server: str, closed_port: str) -> None:
    """What is wrong is raised as the same class; a server that is not there is unreachable."""
    with taskbank.connect(server) as client:
        with pytest.raises(taskbank.NotFoundError, match="no task 'nobody'"):
            client.predict("nobody", ["good day"])
        with pytest.raises(taskbank.DataError, match="input 2 is ' '"):
            client.predict("single", ["good day", " "])
        with pytest.raises(taskbank.InputError, match="metrics"):
            client.tasks("metrics.accuracy > 1")
        with pytest.raises(taskbank.DataError, match="nothing to predict"):
            client.predict("single", [])
    with pytest.raises(taskbank.UnreachableError, match="cannot be reached"):
        taskbank.connect(closed_port).predict("single", ["good day"])
    with pytest.raises(taskbank.InputError, match="is not a URL"):
        taskbank.connect("localhost:80")


@pytest.mark.slow
def test_the_key_comes_from_the_environment(
    every_kind: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with keys refuses a client without one, and takes the one in TASKBANK_KEY."""
    keys = tmp_path / "keys.jsonl"
    secret = add_key(keys, "shell", "read")
    with serving(every_kind, keys=keys) as url:
        monkeypatch.delenv("TASKBANK_KEY", raising=False)
        with pytest.raises(taskbank.InputError, match="a key is needed"):
            taskbank.connect(url).predict("single", ["good day"])
        monkeypatch.setenv("TASKBANK_KEY", secret)
        assert taskbank.connect(url).predict("single", ["good day"])
        assert secret not in repr(taskbank.connect(url))


def test_requests_are_split_by_inputs_and_by_characters() -> None:
    """No request is larger than a server takes, and none is lost on the way."""
    few = list(_chunks([str(number) for number in range(1200)]))
    assert [len(chunk) for chunk in few] == [512, 512, 176]
    large = list(_chunks(["x" * 600_000] * 3))
    assert [len(chunk) for chunk in large] == [1, 1, 1]
    assert list(_chunks(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx2.Response(200, text="<html>"), taskbank.InputError),
        (httpx2.Response(502, text="bad gateway"), taskbank.ResourceError),
        (httpx2.Response(200, json={"tasks": "what"}), taskbank.InputError),
        (httpx2.Response(500, json={"detail": "x", "type": "a:b"}), taskbank.ResourceError),
        (httpx2.Response(503, json={"detail": "x", "type": "a:damaged"}), taskbank.DamagedError),
        (
            httpx2.Response(429, json={"detail": "x"}, headers={"retry-after": "soon"}),
            taskbank.OverloadedError,
        ),
    ],
)
def test_answers_of_something_else_are_errors(
    answer: httpx2.Response, kind: type[Exception], answering: Callable[[httpx2.Response], Client]
) -> None:
    """Whatever answers in the server's place, the client raises an error of taskbank."""
    with pytest.raises(kind):
        answering(answer).predict("single", ["good day"])
    with pytest.raises(kind):
        answering(answer).tasks()


@pytest.mark.slow
def test_the_command_line_lets_a_server_predict(
    server: str, every_kind: Bank, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`predict --server` prints what `predict` prints, for names, patterns, files and pairs."""
    (tmp_path / "texts.txt").write_text("good day\nbad day\n")

    def labels(*arguments: str) -> list[tuple[str, ...]]:
        assert run(["predict", *arguments, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        return [(row.get("task"), row["text"], row["label"]) for row in found]

    for arguments in (
        ("single", "good day"),
        ("pair", "good day", "bad day"),
        ("single", "--file", "texts.txt"),
        ("--task", "*", "good day", "--quiet"),
    ):
        remote = labels(*arguments, "--server", server)
        assert remote == labels(*arguments, "--bank", every_kind.url)
    assert run(["predict", "nobody", "x", "--server", server]) == 2
    assert run(["predict", "single", "x", "--server", server, "--device", "cpu"]) == 2


@pytest.mark.process
def test_a_client_imports_nothing_heavy() -> None:
    """Neither torch nor SQLAlchemy, numpy or pyarrow are imported to let a server predict."""
    code = (
        "import sys\n"
        "from taskbank.cli.main import run\n"
        "run(['predict', 'single', 'x', '--server', 'http://127.0.0.1:9'])\n"
        "print(sorted({'torch', 'sqlalchemy', 'numpy', 'pyarrow'} & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert "cannot be reached" in found.stderr


@pytest.fixture
def closed_port() -> str:
    """The URL of a port on which nothing listens."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx2.Response], Client]:
    """Returns a client to which something answers always the same."""

    def client(answer: httpx2.Response) -> Client:
        monkeypatch.setattr(httpx2.Client, "request", lambda *_a, **_k: answer)
        return Client("http://127.0.0.1:9")

    return client
