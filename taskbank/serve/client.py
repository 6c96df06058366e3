"""A client of `taskbank serve`: predicts as a `Predictor` does, without an encoder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from taskbank import errors
from taskbank.data.fields import Field
from taskbank.digests import Json
from taskbank.errors import InputError, OverloadedError, TaskbankError, UnreachableError
from taskbank.redaction import redacted
from taskbank.serve.inputs import input_list, input_rows, is_table, read_once
from taskbank.serve.prediction import Prediction

CHUNK_ROWS, CHUNK_CHARACTERS = 512, 1 << 20  # inputs of one request, at most
CONNECT_SECONDS, READ_SECONDS = 10.0, 600.0
Answer = TypeVar("Answer")
OPTIONS = ("--text", "--text-pair")  # of the first and the second text of an input
KEY = "TASKBANK_KEY"  # the environment variable that holds the client's key


@dataclass(frozen=True)
class ServedTask:
    """A version of a task that a server has.

    Attributes:
        task: the task's name.
        version: the version's number.
        kind: the task's kind.
        fields: the fields of an input.
        max_length: maximum number of tokens that the task reads of an input.
    """

    task: str
    version: int
    kind: str
    fields: tuple[Field, ...]
    max_length: int

    @property
    def ref(self) -> str:
        """The version's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"


class Client:
    """A connection to a server; `connect` opens one. It can be used by several threads.

    Args:
        url: the server's URL, such as `http://127.0.0.1:8080`.
        key: the client's key; None means the environment variable `TASKBANK_KEY`, if it is set.

    Raises:
        InputError: if the URL is not one of a server.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"the server {redacted(url)!r} is not a URL: write http://HOST:PORT, as taskbank "
                "serve prints it"
            )
        self.url = url.rstrip("/")
        secret = key if key is not None else os.environ.get(KEY)
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise InputError(f"the key has characters that no key has: check {KEY}")
        try:
            self._http = httpx2.Client(
                base_url=self.url,
                headers={"authorization": f"Bearer {secret}"} if secret else {},
                timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            )
        except httpx2.InvalidURL as error:
            raise InputError(f"the server {redacted(url)!r} is not a URL: {error}") from None

    def __repr__(self) -> str:
        return f"Client({redacted(self.url)!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def predict(self, ref: str, inputs: Any) -> list[Prediction]:
        """Predict with one task; see `predict_many`."""
        return self.predict_many([(ref, inputs)])[0]

    def predict_many(self, asked: Sequence[tuple[str, Any]]) -> list[list[Prediction]]:
        """Predict with several tasks.

        Args:
            asked: pairs of a task and its inputs, in the forms that `Predictor.predict_many`
                describes.

        Returns:
            one list per task, with one prediction per input.

        Raises:
            NotFoundError: if the server has no such task.
            DataError: if the inputs do not suit the task.
            DamagedError: if the task is damaged in the bank.
            OverloadedError: if too much is waiting at the server.
            UnreachableError: if the server cannot be reached.
        """
        asked = read_once(asked)
        if len(asked) > 1 and all(inputs is asked[0][1] for _, inputs in asked):
            found = self._fan_out([ref for ref, _ in asked], asked[0][1])
            if len(found) == len(asked):  # none is there twice
                return found
        return [self._predict(ref, inputs) for ref, inputs in asked]

    def _predict(self, ref: str, inputs: Any) -> list[Prediction]:
        found: list[Prediction] = []
        for chunk in _chunks(self._rows(ref, inputs)):
            path, body = f"/v1/tasks/{ref}/predict", {"inputs": chunk}
            found += self._ask("POST", path, _predictions, json=body)
        return found

    def _fan_out(self, refs: Sequence[str], inputs: Any) -> list[list[Prediction]]:
        """Predict the same inputs with several tasks, which share what the server can share."""
        found: list[list[Prediction]] = []
        size = max(1, CHUNK_ROWS // len(refs))
        for chunk in _chunks(self._rows(refs[0], inputs), size):
            body = {"inputs": chunk, "tasks": list(refs)}
            results = self._ask("POST", "/v1/predict", _all_predictions, json=body)
            found = found or [[] for _ in results]
            for own, result in zip(found, results, strict=False):
                own += result
        return found

    def _rows(self, ref: str, inputs: Any) -> Sequence[Any]:
        if not is_table(inputs):
            return input_list(inputs)
        rows = input_rows(inputs, self.task(ref).fields)
        return [row[0] if len(row) == 1 else list(row) for row in rows]

    def task(self, ref: str) -> ServedTask:
        """Return the version that the server answers with.

        Raises:
            NotFoundError: if the server has no such task.
        """
        return self._ask("GET", f"/v1/tasks/{ref}", _served_task)

    def tasks(self, query: str | None = None) -> list[dict[str, Json]]:
        """Return the versions in use that the server serves, oldest first, as plain data.

        Args:
            query: a condition such as `metric.accuracy >= 0.9`; None means all.

        Raises:
            InputError: if the query does not parse or names an unknown field.
        """
        found: list[dict[str, Json]] = []
        after: int | None = 0
        while after is not None:
            wanted = {} if query is None else {"query": query}
            place = {"after": after, "limit": 1000}
            page, after = self._ask("GET", "/v1/tasks", _page, params=wanted | place)
            found += page
        return found

    def comparisons(self, ref: str) -> list[dict[str, Json]]:
        """Return how the answers of a task's shadow differ from those that were given.

        Raises:
            NotFoundError: if the server has no such task.
        """
        return self._ask("GET", f"/v1/tasks/{ref}/live", lambda answer: list(answer["comparisons"]))

    def _ask(self, method: str, path: str, read: Callable[[Any], Answer], **more: Any) -> Answer:
        """Return what `read` makes of the server's answer."""
        try:
            response = self._http.request(method, quote(path, safe="/@"), **more)
        except httpx2.TransportError as error:
            raise UnreachableError(
                f"the server {redacted(self.url)} cannot be reached "
                f"({type(error).__name__}): check the URL, and that taskbank serve is running"
            ) from None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not response.is_success:
            raise _error(self.url, response, answer)
        try:
            return read(answer)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise InputError(
                f"{redacted(self.url)} answered something else than a taskbank server does: check "
                "the URL, and that both are of the same version"
            ) from None


def connect(url: str, key: str | None = None) -> Client:
    """Connect to a server that `taskbank serve` runs.

    Args:
        url: the server's URL, such as `http://127.0.0.1:8080`.
        key: the client's key; None means the environment variable `TASKBANK_KEY`, if it is set.

    Raises:
        InputError: if the URL is not one of a server.
    """
    return Client(url, key)


def prediction_of(answer: Mapping[str, Json]) -> Prediction:
    """Return the prediction that `Prediction.to_json` turned into JSON."""
    known = ("text", "text_pair", "label", "score", "truncated")
    return Prediction(
        answer["text"],
        answer.get("text_pair"),
        answer["label"],
        answer["score"],
        {name: value for name, value in answer.items() if name not in known},
        answer["truncated"],
    )


def _chunks(rows: Sequence[Any], count: int = CHUNK_ROWS) -> Iterator[list[Any]]:
    """Split inputs so that no request is refused for its size."""
    chunk: list[Any] = []
    size = 0
    for row in rows:
        length = len(str(row))
        if chunk and (len(chunk) == count or size + length > CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += length
    yield chunk


def _predictions(answer: Any) -> list[Prediction]:
    return [prediction_of(one) for one in answer["predictions"]]


def _all_predictions(answer: Any) -> list[list[Prediction]]:
    return [_predictions(one) for one in answer["results"]]


def _served_task(answer: Any) -> ServedTask:
    fields = zip(answer["inputs"], OPTIONS, strict=False)
    return ServedTask(
        answer["task"],
        answer["version"],
        answer["kind"],
        tuple(Field(field["name"], field["type"], option) for field, option in fields),
        answer["training"]["max_length"],
    )


def _page(answer: Any) -> tuple[list[dict[str, Json]], int | None]:
    following = answer["next"]
    return [dict(task) for task in answer["tasks"]], None if following is None else int(following)


def _error(url: str, response: httpx2.Response, answer: Any) -> TaskbankError:
    """Return the error that the server has told."""
    known = isinstance(answer, dict) and "detail" in answer
    message = (
        str(answer["detail"])
        if known
        else f"{redacted(url)} answered {response.status_code} without saying why: it, or what is "
        "before it, may not be a taskbank server"
    )
    if response.status_code == 429:
        after = response.headers.get("retry-after", "")
        return OverloadedError(message, float(after) if after.isdecimal() else 1.0)
    name = str(answer.get("type", "")).rpartition(":")[2] if known else ""
    kind = getattr(errors, "".join(map(str.capitalize, name.split("-"))) + "Error", None)
    if isinstance(kind, type) and issubclass(kind, TaskbankError):
        return kind(message)
    return errors.ResourceError(message) if response.status_code >= 500 else InputError(message)
