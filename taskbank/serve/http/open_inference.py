"""The Open Inference Protocol (KServe's version 2), as Triton's clients speak it.

A task is a model, and its versions are the model's. An input is a tensor of texts with the name
`text`; for tasks of two texts there are two, with the names of the task's fields.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from taskbank import plugins
from taskbank.bank.records import AdapterRecord
from taskbank.data.fields import Type, preview
from taskbank.digests import Json
from taskbank.kinds.kind import input_fields
from taskbank.serve.http.bodies import as_object, read_body
from taskbank.serve.http.classes import class_scores, predicted_type
from taskbank.serve.http.json_text import json_bytes
from taskbank.serve.http.open_inference_tensors import (
    HEADER,
    Tensor,
    read_texts,
    split_body,
    write_response,
)
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service
from taskbank.serve.job import Job
from taskbank.version import __version__

KEYS = ("id", "parameters", "inputs", "outputs")


async def server(_service: Service, _request: Request) -> Any:
    """Name the server and the extensions of the protocol that it knows."""
    return {"name": "taskbank", "version": __version__, "extensions": ["binary_tensor_data"]}


async def live(_service: Service, _request: Request) -> Any:
    """Say that the process runs."""
    return {"live": True}


async def ready(service: Service, _request: Request) -> Any:
    """Say whether requests should be sent here."""
    if not service.ready:
        raise Problem(503, "draining", "the server is about to end", {"retry-after": "1"})
    return {"ready": True}


async def model_ready(service: Service, request: Request) -> Any:
    """Say that a task, or a version of it, is served."""
    record = await service.record(_ref(request))
    return {"name": record.task, "version": str(record.version), "ready": True}


async def model(service: Service, request: Request) -> Any:
    """Describe the inputs and outputs of a task, and its versions."""
    record = await service.record(_ref(request))
    versions = await asyncio.to_thread(
        service.bank.adapters, task=record.task, backbone=record.backbone
    )
    return {
        "name": request.path_params["name"],
        "versions": [str(one.version) for one in versions],
        "platform": "taskbank",
        "inputs": [
            {"name": name, "datatype": "BYTES", "shape": [-1]} for name in _input_names(record)
        ],
        "outputs": [
            {"name": name, "datatype": DATATYPES[name], "shape": _shape(name, record)}
            for name in OUTPUTS[predicted_type(record)]
        ],
        "parameters": {"labels": list(record.labels)},
    }


async def infer(service: Service, request: Request) -> Any:
    """Predict the texts of the input tensors."""
    body = await read_body(request, service.options.max_body)
    json, binary = split_body(body, request.headers.get(HEADER))
    asked = as_object(json, KEYS)
    ref = _ref(request)
    names = _input_names(await service.record(ref))
    texts = read_texts(asked.get("inputs"), binary, names, service.options.max_rows)
    job = await service.job(ref, _inputs([texts[name] for name in names]), request)
    wanted = _outputs(asked, OUTPUTS[predicted_type(job.record)])
    request_id = asked.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise Problem(422, "body", f"id is {preview(request_id)}: it must be a text")
    await service.predict([job], request)
    head: dict[str, Json] = {
        "model_name": request.path_params["name"],
        "model_version": str(job.record.version),
    }
    if request_id is not None:
        head["id"] = request_id
    tensors = [
        (Tensor(name, DATATYPES[name], VALUES[name](job)), is_binary) for name, is_binary in wanted
    ]
    content, length = write_response(head, tensors)
    if length is None:
        return Response(content, media_type="application/json")
    return Response(content, headers={HEADER: str(length)}, media_type="application/octet-stream")


def error_body(problem: Problem) -> dict[str, Json]:
    """Return an error as the protocol has it."""
    return {"error": problem.detail}


def _ref(request: Request) -> str:
    """Return the reference that a model's name, and maybe its version, stand for."""
    name, version = request.path_params["name"], request.path_params.get("version")
    if version is None:
        return str(name)
    if "@" in name or not version.isascii() or not version.isdecimal():
        raise Problem(
            422, "path", f"{name[:100]}/versions/{version[:20]} is no task with a version's number"
        )
    return f"{name}@{version}"


def _input_names(record: AdapterRecord) -> list[str]:
    names = [
        field.name for field in input_fields(plugins.load("kinds", record.kind), record.definition)
    ]
    return ["text"] if len(names) == 1 else names


def _inputs(columns: Sequence[list[str]]) -> list[Any]:
    """Return one text or one list of texts per row."""
    if len(columns) == 1:
        return columns[0]
    if len({len(column) for column in columns}) > 1:
        raise Problem(422, "body", "the inputs differ in their numbers of texts")
    return [list(row) for row in zip(*columns, strict=True)]


def _outputs(asked: dict[str, Any], names: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the outputs to send, each with whether it is sent as binary data."""
    all_binary = _is_binary(asked, "binary_data_output", default=False, what="the request")
    outputs = asked.get("outputs")
    if outputs is None or outputs == []:
        return [(name, all_binary) for name in names]
    if not isinstance(outputs, list):
        raise Problem(422, "body", "outputs must be a list of objects with a name")
    wanted: dict[str, bool] = {}
    for output in outputs:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name not in names or name in wanted:
            raise Problem(
                422,
                "body",
                f"output {preview(name)} is none of the task's, or is given twice: it has "
                f"{', '.join(names)}",
            )
        wanted[name] = _is_binary(output, "binary_data", default=all_binary, what=f"output {name}")
    return list(wanted.items())


def _is_binary(owner: dict[str, Any], name: str, *, default: bool, what: str) -> bool:
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Problem(422, "body", f"the parameters of {what} must be an object")
    for key in ("classification", "shared_memory_region"):
        if key in parameters:
            raise Problem(422, "body", f"the parameter {key} of {what} is not supported here")
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise Problem(422, "body", f"{name} of {what} is {preview(value)}: write true or false")
    return value


def _shape(name: str, record: AdapterRecord) -> list[Json]:
    return [-1, len(record.labels)] if name == "probabilities" else [-1]


def _positions(key: str) -> Callable[[Job], np.ndarray]:
    """Return a function that returns the start or end of each answer; -1 without an answer."""

    def positions(job: Job) -> np.ndarray:
        found = [one.details[key] for one in job.predictions]
        return np.array([-1 if place is None else place for place in found])

    return positions


# What each output is, and which outputs a task has, by the type of what it predicts.
DATATYPES = {
    "label": "BYTES",
    "probabilities": "FP32",
    "score": "FP64",
    "start": "INT64",
    "end": "INT64",
    "entities": "BYTES",
}
VALUES: dict[str, Callable[[Job], Sequence[str] | np.ndarray]] = {
    "label": lambda job: [one.best_label for one in job.predictions],
    "probabilities": class_scores,
    "score": lambda job: np.array([one.score for one in job.predictions]),
    "start": _positions("start"),
    "end": _positions("end"),
    "entities": lambda job: [
        json_bytes(one.details["entities"]).decode() for one in job.predictions
    ],
}
OUTPUTS: dict[Type, tuple[str, ...]] = {
    "class": ("label", "probabilities"),
    "classes": ("label", "probabilities"),
    "number": ("label", "score"),
    "tags": ("label", "score", "entities"),
    "answers": ("label", "score", "start", "end"),
}
ENDPOINTS = (
    Endpoint("/v2", server),
    Endpoint("/v2/health/live", live),
    Endpoint("/v2/health/ready", ready),
    Endpoint("/v2/models/{name}", model),
    Endpoint("/v2/models/{name}/versions/{version}", model),
    Endpoint("/v2/models/{name}/ready", model_ready),
    Endpoint("/v2/models/{name}/versions/{version}/ready", model_ready),
    Endpoint("/v2/models/{name}/infer", infer, "POST", predicts=True),
    Endpoint("/v2/models/{name}/versions/{version}/infer", infer, "POST", predicts=True),
)
