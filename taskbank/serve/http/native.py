"""The server's own interface: tasks, predictions of one task, and of many tasks at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from taskbank import plugins
from taskbank.bank.record_list import Records
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.errors import DataError, TaskbankError
from taskbank.kinds.kind import input_fields
from taskbank.serve.http.bodies import as_object, read_json
from taskbank.serve.http.problems import Problem, problem_of
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import Service
from taskbank.serve.job import Job

PAGE, LARGEST_PAGE = 100, 1000  # versions


async def list_tasks(service: Service, request: Request) -> Any:
    """List the versions in use, or those that satisfy a query."""
    query = request.query_params.get("query")
    limit = _whole(request, "limit", PAGE, 1, LARGEST_PAGE)
    after = _whole(request, "after", 0, 0, 2**31 - 1)

    def read() -> Records:
        if query is not None:
            return service.bank.query(query, after=after, limit=limit)
        return service.bank.page(after=after, limit=limit)

    page = await asyncio.to_thread(read)
    fingerprint = service.backbone.identity.fingerprint
    served = [
        record
        for record in page
        if service.tasks.serves(record.task) and record.backbone == fingerprint
    ]
    return {
        "tasks": [record.summary() | _inputs_and_labels(record) for record in served],
        "next": page[-1].id if len(page) == limit else None,
    }


async def show_task(service: Service, request: Request) -> Any:
    """Show everything that is recorded of one version."""
    served = await service.record(request.path_params["ref"])
    record = await asyncio.to_thread(service.bank.__getitem__, served.ref)
    return record.to_json() | _inputs_and_labels(record) | {"retired": record.retired}


async def compare_live(service: Service, request: Request) -> Any:
    """Show how the answers of a task's shadow differ from those that were given."""
    record = await service.record(request.path_params["ref"])
    return {"task": record.task, "comparisons": service.comparisons.of(record.task)}


async def predict_task(service: Service, request: Request) -> Any:
    """Predict with one task."""
    body = as_object(await read_json(request, service.options.max_body), ("inputs",))
    inputs = _inputs_of(body)
    job = await service.job(request.path_params["ref"], inputs, request)
    await service.predict([job], request)
    return answer(job)


async def predict_many(service: Service, request: Request) -> Any:
    """Predict rows of many tasks, or the same inputs with many tasks."""
    body = as_object(
        await read_json(request, service.options.max_body), ("rows", "inputs", "tasks")
    )
    if "rows" in body:
        if len(body) > 1:
            raise Problem(422, "body", "give either rows, or inputs and tasks")
        return await _predict_rows(service, request, body["rows"])
    tasks = body.get("tasks")
    if not isinstance(tasks, list) or not tasks or not all(isinstance(one, str) for one in tasks):
        raise Problem(422, "body", "tasks must be a list of names, or of patterns such as ticket-*")
    return await _predict_tasks(service, request, tasks, _inputs_of(body))


async def _predict_rows(service: Service, request: Request, rows: Any) -> Any:
    if not isinstance(rows, list) or not rows:
        raise Problem(422, "body", "rows must be a list of objects with task and input")
    inputs: dict[str, list[Any]] = {}
    places: list[tuple[str, int]] = []
    for row in rows:
        if (
            not isinstance(row, dict)
            or set(row) != {"task", "input"}
            or not isinstance(row["task"], str)
        ):
            raise Problem(
                422, "body", f"row {len(places) + 1} is not an object with task and input"
            )
        own = inputs.setdefault(row["task"], [])
        places.append((row["task"], len(own)))
        own.append(row["input"])
    service.check_rows(len(rows))
    jobs = {ref: await service.job(ref, own, request) for ref, own in inputs.items()}
    await service.predict(list(jobs.values()), request)
    return {
        "predictions": [
            named(jobs[ref].record) | jobs[ref].predictions[place].to_json()
            for ref, place in places
        ]
    }


async def _predict_tasks(
    service: Service, request: Request, patterns: Sequence[str], inputs: list[Any]
) -> Any:
    jobs: list[Job] = []
    skipped: list[dict[str, Json]] = []
    service.check_rows(len(set(patterns)))
    records, problems = await service.records(patterns)
    for name, problem in problems.items():
        skipped.append({"task": name, "problem": problem_of(problem).to_json()})
    service.check_rows(len(inputs) * len(records))
    explicit = set(patterns)
    for record in records:
        try:
            jobs.append(await service.job(record.ref, inputs, request))
        except DataError as error:
            if explicit & {record.task, record.ref}:
                raise
            skipped.append(named(record) | {"problem": problem_of(error).to_json()})
    if not jobs:
        raise Problem(422, "data", "none of the tasks takes such inputs")
    errors = await service.predict_each(jobs, request)
    results = []
    for job, failure in zip(jobs, errors, strict=True):
        if failure is None:
            results.append(answer(job))
        elif explicit & {job.record.task, job.record.ref} or not isinstance(failure, TaskbankError):
            raise failure
        else:
            skipped.append(named(job.record) | {"problem": problem_of(failure).to_json()})
    return {"results": results, "skipped": skipped}


def named(record: AdapterRecord) -> dict[str, Json]:
    """Return which version answered."""
    return {"task": record.task, "version": record.version, "digest": record.digest}


def answer(job: Job) -> dict[str, Json]:
    """Return the answer of a job."""
    return named(job.record) | {"predictions": [one.to_json() for one in job.predictions]}


def _inputs_of(body: dict[str, Any]) -> list[Any]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise Problem(422, "body", "inputs must be a list of at least one input")
    return inputs


def _inputs_and_labels(record: AdapterRecord) -> dict[str, Json]:
    kind = plugins.load("kinds", record.kind)
    fields = input_fields(kind, record.definition)
    return {
        "inputs": [{"name": field.name, "type": field.type} for field in fields],
        "labels": list(record.labels),
    }


def _whole(request: Request, name: str, default: int, least: int, largest: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else -1
    if not least <= number <= largest:
        raise Problem(
            422, "parameter", f"{name} is {text[:20]!r}: write a number from {least} to {largest:,}"
        )
    return number


ENDPOINTS = (
    Endpoint("/v1/tasks", list_tasks),
    Endpoint("/v1/tasks/{ref}", show_task),
    Endpoint("/v1/tasks/{ref}/live", compare_live),
    Endpoint("/v1/tasks/{ref}/predict", predict_task, "POST", predicts=True),
    Endpoint("/v1/predict", predict_many, "POST", predicts=True),
)
