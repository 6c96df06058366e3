"""The interface of vLLM's classifiers, which OpenAI's client can use: every task is a model."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from starlette.requests import Request

from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.errors import NotFoundError
from taskbank.serve.http.bodies import as_object, read_json
from taskbank.serve.http.classes import class_names, class_scores
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service


async def list_models(service: Service, _request: Request) -> Any:
    """List the tasks that are served, each as the version that its plain name means."""
    try:
        records, _ = await service.records(["*"])
    except NotFoundError:  # the bank is empty
        records = []
    return {"object": "list", "data": [_model(record.task, record) for record in records]}


async def show_model(service: Service, request: Request) -> Any:
    """Describe one task."""
    ref = request.path_params["model"]
    return _model(ref, await service.record(ref))


async def classify(service: Service, request: Request) -> Any:
    """Predict the classes of one text, or of a list of inputs."""
    body = as_object(await read_json(request, service.options.max_body), ("model", "input", "user"))
    ref, inputs = body.get("model"), body.get("input")
    if not isinstance(ref, str):
        raise Problem(422, "body", "model must be the name of a task: see /v1/models")
    if not isinstance(inputs, str | list):
        raise Problem(422, "body", "input must be a text, or a list of texts")
    job = await service.job(ref, inputs, request)
    if not class_names(job.record):
        raise Problem(
            422,
            "kind",
            f"{job.record.ref} is no classifier: use /v1/tasks/{job.record.ref}/predict",
        )
    await service.predict([job], request)
    scores = class_scores(job).tolist()
    return {
        "id": f"classify-{request.state.request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": ref,
        "data": [
            {"index": index, "label": one.best_label, "probs": probs, "num_classes": len(probs)}
            for index, (one, probs) in enumerate(zip(job.predictions, scores, strict=True))
        ],
        "usage": {
            "prompt_tokens": job.tokens,
            "total_tokens": job.tokens,
            "completion_tokens": 0,
        },
    }


def error_body(problem: Problem) -> dict[str, Json]:
    """Return an error as OpenAI's servers write it."""
    if problem.status == 429:
        error_type = "rate_limit_error"
    else:
        error_type = "server_error" if problem.status >= 500 else "invalid_request_error"
    code = "model_not_found" if problem.status == 404 else problem.kind
    error = {"message": problem.detail, "type": error_type, "param": None, "code": code}
    return {"error": error}


def _model(ref: str, record: AdapterRecord) -> dict[str, Json]:
    return {
        "id": ref,
        "object": "model",
        "created": int(datetime.fromisoformat(record.created_at).timestamp()),
        "owned_by": "taskbank",
        "root": record.ref,
        "parent": None,
        "max_model_len": record.training["max_length"],
        "labels": list(class_names(record)),  # in the order of `probs`
    }


ENDPOINTS = (
    Endpoint("/v1/models", list_models),
    Endpoint("/v1/models/{model}", show_model),
    Endpoint("/classify", classify, "POST", predicts=True),
    Endpoint("/v1/classify", classify, "POST", predicts=True),
)
