"""`/openapi.json`: a description of every path that is for programs, after OpenAPI 3.1."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from taskbank.digests import Json
from taskbank.serve.http.envelope import OPEN
from taskbank.serve.http.openapi_schemas import ERRORS, OBJECT, OPERATIONS, SCHEMAS, Operation, ref
from taskbank.serve.http.routes import Endpoint, Interface
from taskbank.serve.http.service import Service
from taskbank.version import __version__

PATH = "/openapi.json"
PARAMETER = re.compile(r"{(\w+)}")
PATH_SCHEMAS = {  # of the parameters in paths; the others are references to tasks
    "name": ref("Name"),
    "alias": ref("Alias"),
    "version": {"type": "string", "pattern": r"^[1-9][0-9]{0,8}$"},
}
PROBLEM = {"application/problem+json": {"schema": ref("Problem")}}
ANY_STATUSES = (401, 404, 405, 422, 503)
BODY_STATUSES = (400, 408, 413, 415, 424, 429, 504)
ADMIN_STATUSES = (403, 409)


def endpoint(interfaces: Sequence[Interface]) -> Endpoint:
    """Return the endpoint that describes itself and the endpoints of interfaces."""

    async def describe(service: Service, _request: Request) -> Any:
        """Describe every path that is for programs."""
        every = [*interfaces, Interface("openapi", [described])]
        return description(every, has_keys=service.keys is not None)

    described = Endpoint(PATH, describe)
    return described


def description(interfaces: Sequence[Interface], *, has_keys: bool) -> dict[str, Json]:
    """Return the description of interfaces, as OpenAPI has it.

    Args:
        interfaces: the interfaces.
        has_keys: whether clients need a key.
    """
    paths: dict[str, dict[str, Json]] = {}
    for interface in interfaces:
        for one in interface.endpoints:
            paths.setdefault(one.path, {})[one.method.lower()] = _operation(interface, one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "taskbank",
            "version": __version__,
            "description": "One frozen encoder, and every task of a bank on it.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}] if has_keys else [],
    }


def _operation(interface: Interface, endpoint: Endpoint) -> dict[str, Json]:
    operation = OPERATIONS.get(endpoint.handler, Operation(OBJECT))
    summary, _, more = inspect.cleandoc(endpoint.handler.__doc__ or "").partition("\n\n")
    parameters: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": PATH_SCHEMAS.get(name, ref("Task")),
        }
        for name in PARAMETER.findall(endpoint.path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()
    ]
    described: dict[str, Json] = {
        "operationId": _identifier(endpoint),
        "tags": [interface.name],
        "summary": summary,
        "description": more,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "the answer",
                "content": {operation.answer_type: {"schema": operation.answer}},
            },
            **_errors(interface, endpoint, operation),
        },
    }
    if endpoint.path in OPEN:
        described["security"] = []
    if operation.request is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.request}},
        }
    return described


def _identifier(endpoint: Endpoint) -> str:
    words = re.findall(r"\w+", endpoint.path)
    return "_".join([endpoint.method.lower(), *words])


def _errors(
    interface: Interface, endpoint: Endpoint, operation: Operation
) -> dict[str, dict[str, Json]]:
    content: dict[str, Json] = dict(PROBLEM)  # of what is refused before the interface is asked
    if interface.name in ERRORS:
        content["application/json"] = {"schema": ERRORS[interface.name]}
    statuses = [*ANY_STATUSES]
    if operation.request is not None:
        statuses += BODY_STATUSES
    if endpoint.scope == "admin":
        statuses += ADMIN_STATUSES
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted(statuses)
    }
