"""The interface of text-embeddings-inference for classifiers, under the URL of one task."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from taskbank.data.fields import is_text_list, preview
from taskbank.digests import Json
from taskbank.serve.http.bodies import as_object, read_json
from taskbank.serve.http.classes import class_names, class_scores, predicted_type, ranked
from taskbank.serve.http.problems import Problem, limit
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service

KEYS = ("inputs", "raw_scores", "truncate", "truncation_direction")
ERROR_TYPES = {413: "Validation", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


async def predict(service: Service, request: Request) -> Any:
    """Predict the classes of one text or pair, or of a batch of them.

    The answer is one list of classes for a single input, and a list of such lists for a batch.
    """
    body = as_object(await read_json(request, service.options.max_body), KEYS)
    inputs, is_batch = _inputs(body.get("inputs"))
    raw_scores = _truth(body, "raw_scores", default=False)
    truncate = _truth(body, "truncate", default=True)
    _check_direction(service, body.get("truncation_direction"))
    job = await service.job(request.path_params["ref"], inputs, request)
    names = class_names(job.record)
    if not names:
        raise Problem(
            424,
            "backend",
            f"{job.record.ref} is no classifier: use /v1/tasks/{job.record.ref}/predict",
        )
    await service.predict([job], request)
    if not truncate:
        for number, one in enumerate(job.predictions, 1):
            if one.truncated:
                raise limit(
                    413,
                    "token",
                    f"input {number} has more than the {job.record.training['max_length']:,} "
                    f"tokens that {job.record.ref} reads: shorten it, or send truncate=true",
                )
    raw = raw_scores and predicted_type(job.record) != "number"
    answers = [ranked(names, row) for row in class_scores(job, "none" if raw else None)]
    return answers if is_batch else answers[0]


def error_body(problem: Problem) -> dict[str, Json]:
    """Return an error as text-embeddings-inference writes it."""
    error_type = ERROR_TYPES.get(problem.status, "Validation")
    return {"error": problem.detail, "error_type": error_type}


def _inputs(given: Any) -> tuple[list[Any], bool]:
    """Return the inputs as the bank's tasks take them, and whether they are a batch."""
    if isinstance(given, str):
        return [given], False
    if is_text_list(given) and given:
        return [_text_or_pair(given, "inputs")], False
    if isinstance(given, list) and given and all(is_text_list(one) for one in given):
        return [_text_or_pair(one, f"input {n}") for n, one in enumerate(given, 1)], True
    raise Problem(
        422,
        "body",
        'inputs must be a text, a pair ["a", "b"], or a batch [["a"], ["b", "c"]]',
    )


def _text_or_pair(texts: list[str], what: str) -> Any:
    if not 1 <= len(texts) <= 2:
        raise Problem(
            422,
            "body",
            f"{what} has {len(texts):,} texts: one is a text, two are a pair; a batch is a list "
            'of such lists, as [["a"], ["b"]]',
        )
    return texts[0] if len(texts) == 1 else texts


def _truth(body: dict[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Problem(422, "body", f"{name} is {preview(value)}: write true or false")
    return default if value is None else value


def _check_direction(service: Service, direction: Any) -> None:
    side = str((service.backbone.identity.settings or {}).get("truncation_side", "right"))
    if direction is not None and (
        not isinstance(direction, str) or direction.lower() != side.lower()
    ):
        raise Problem(
            422,
            "body",
            f"truncation_direction is {preview(direction)}: this encoder truncates at the {side}",
        )


ENDPOINTS = (Endpoint("/models/{ref}/predict", predict, "POST", predicts=True),)
