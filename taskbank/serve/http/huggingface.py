"""The interface of `huggingface_hub.InferenceClient` and of Hugging Face's inference endpoints.

A client is given the URL of one task as its model: `InferenceClient(".../models/NAME")`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from taskbank.data.fields import Type, is_text_list, preview
from taskbank.digests import Json
from taskbank.serve.http.bodies import as_object, read_json
from taskbank.serve.http.classes import class_names, class_scores, predicted_type, ranked
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service
from taskbank.serve.job import Job

FUNCTIONS = ("none", "sigmoid", "softmax")
STRATEGIES = ("simple", "first", "average", "max")  # words are never split here, so all are equal
PARAMETERS: dict[Type, tuple[str, ...]] = {
    "class": ("top_k", "function_to_apply"),
    "classes": ("top_k", "function_to_apply"),
    "number": ("top_k", "function_to_apply"),
    "tags": ("aggregation_strategy", "ignore_labels"),
    "answers": ("top_k",),
}


async def predict(service: Service, request: Request) -> Any:
    """Predict one input or a list of inputs, as a pipeline of transformers would.

    Classes come in a list for every input, even for a single one: that is what the client takes
    apart.
    """
    body = as_object(
        await read_json(request, service.options.max_body), ("inputs", "parameters", "options")
    )  # options are about the hub's own waiting and caching: here they change nothing
    inputs = body.get("inputs")
    if not isinstance(inputs, str | dict | list):
        raise Problem(422, "body", "inputs must be a text, an object, or a list of inputs")
    many = inputs if isinstance(inputs, list) else [inputs]
    job = await service.job(request.path_params["ref"], [_values(one) for one in many], request)
    predicted = predicted_type(job.record)
    parameters = _parameters(body.get("parameters"), predicted, job)
    await service.predict([job], request)
    answers = ANSWERS[predicted](job, parameters)
    if predicted in ("tags", "answers") and not isinstance(inputs, list):
        return answers[0]
    return answers


def error_body(problem: Problem) -> dict[str, Json]:
    """Return an error as Hugging Face's servers write it."""
    return {"error": problem.detail}


def _values(one: Any) -> Any:
    """Return {"text": …, "text_pair": …} as texts; other inputs are the task's own."""
    if isinstance(one, dict) and "text" in one and one.keys() <= {"text", "text_pair"}:
        return [one["text"], one["text_pair"]] if "text_pair" in one else one["text"]
    return one


def _parameters(given: Any, predicted: Type, job: Job) -> dict[str, Any]:
    """Return the parameters that have a value, all of them valid."""
    known = PARAMETERS[predicted]
    if given is not None and not isinstance(given, dict):
        raise Problem(422, "parameter", "parameters must be an object")
    parameters = {name: value for name, value in (given or {}).items() if value is not None}
    for name, value in parameters.items():
        if name not in known:
            raise Problem(
                422,
                "parameter",
                f"the parameter {name[:40]!r} cannot be set for {job.record.ref}: it has "
                f"{', '.join(known)}",
            )
        problem = CHECKS[name](value, predicted)
        if problem:
            raise Problem(422, "parameter", f"{name} is {preview(value)}: {problem}")
    return parameters


def _check_top_k(value: Any, predicted: Type) -> str | None:
    if predicted == "answers" and value != 1:
        return "only the best answer is kept, write 1"
    return None if type(value) is int and value >= 1 else "write a number from 1"


def _check_function(value: Any, predicted: Type) -> str | None:
    if predicted == "number" and value != "none":
        return "a number is no probability, write 'none'"
    return None if value in FUNCTIONS else f"write one of {', '.join(FUNCTIONS)}"


def _check_strategy(value: Any, _predicted: Type) -> str | None:
    return None if value in STRATEGIES else f"write one of {', '.join(STRATEGIES)}"


def _check_labels(value: Any, _predicted: Type) -> str | None:
    return None if is_text_list(value) else "write a list of labels"


CHECKS: dict[str, Callable[[Any, Type], str | None]] = {
    "top_k": _check_top_k,
    "function_to_apply": _check_function,
    "aggregation_strategy": _check_strategy,
    "ignore_labels": _check_labels,
}


def _classes(job: Job, parameters: dict[str, Any]) -> list[Json]:
    names = class_names(job.record)
    function = parameters.get("function_to_apply")
    # The number itself, rather than the output of the head from which it is computed.
    scores = class_scores(job, None if predicted_type(job.record) == "number" else function)
    return [ranked(names, row)[: parameters.get("top_k")] for row in scores]


def _entities(job: Job, parameters: dict[str, Any]) -> list[Json]:
    ignored = parameters.get("ignore_labels", ())
    return [
        [
            {
                "entity_group": entity["type"],
                "score": entity["score"],
                "word": entity["text"],
                "start": entity["start"],
                "end": entity["end"],
            }
            for entity in one.details["entities"]
            if entity["type"] not in ignored
        ]
        for one in job.predictions
    ]


def _spans(job: Job, _parameters: dict[str, Any]) -> list[Json]:
    # Without an answer, pipelines of transformers give the empty text at position 0.
    return [
        {
            "answer": one.details["answer"],
            "score": one.score,
            "start": one.details["start"] or 0,
            "end": one.details["end"] or 0,
        }
        for one in job.predictions
    ]


ANSWERS: dict[Type, Callable[[Job, dict[str, Any]], list[Json]]] = {
    "class": _classes,
    "classes": _classes,
    "number": _classes,
    "tags": _entities,
    "answers": _spans,
}
ENDPOINTS = (Endpoint("/models/{ref}", predict, "POST", predicts=True),)
