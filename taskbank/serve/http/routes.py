"""Turns a function of an interface into a route of the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taskbank.digests import Json
from taskbank.errors import TaskbankError
from taskbank.serve.http.json_text import json_bytes
from taskbank.serve.http.keys import Scope
from taskbank.serve.http.problems import Problem, problem_of
from taskbank.serve.http.service import Service

Handler = Callable[[Service, Request], Awaitable[Any]]
ErrorBody = Callable[[Problem], dict[str, Json]]


@dataclass(frozen=True)
class Endpoint:
    """A path that answers requests.

    Attributes:
        path: the path, with parameters such as `{ref}`.
        handler: returns the answer: a value to send as JSON, or a response.
        method: the HTTP method.
        scope: what a client's key must allow.
    """

    path: str
    handler: Handler
    method: str = "GET"
    scope: Scope = "read"


@dataclass(frozen=True)
class Interface:
    """Endpoints that report errors alike.

    Attributes:
        name: what the interface is called.
        endpoints: its endpoints.
        error_body: returns the JSON of a problem as the interface has it; None means RFC 9457.
    """

    name: str
    endpoints: Sequence[Endpoint]
    error_body: ErrorBody | None = None


def routes(
    service: Service, endpoints: Sequence[Endpoint], error_body: ErrorBody | None = None
) -> list[Route]:
    """Return the routes of an interface.

    Args:
        service: answers the requests.
        endpoints: the interface's paths.
        error_body: returns the JSON of a problem as the interface has it; None means RFC 9457.
    """
    # One route for all methods of a path: a refused method is then answered with those that exist.
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [_route(service, path, by_method, error_body) for path, by_method in by_path.items()]


def _route(
    service: Service, path: str, by_method: dict[str, Endpoint], error_body: ErrorBody | None
) -> Route:
    async def answer(request: Request) -> Response:
        endpoint = by_method["GET" if request.method == "HEAD" else request.method]
        request.state.route = f"{endpoint.method} {path}"
        try:
            _check_scope(request, endpoint)
            found = await endpoint.handler(service, request)
        except (Problem, TaskbankError) as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            if problem.status == 429:
                service.metrics.dropped.labels("overloaded").inc()
            return problem.response(None if error_body is None else error_body(problem))
        if isinstance(found, Response):
            return found
        return Response(json_bytes(found), media_type="application/json")

    return Route(path, answer, methods=[*by_method])


def _check_scope(request: Request, endpoint: Endpoint) -> None:
    if endpoint.scope == "admin":
        key = getattr(request.state, "key", None)
        if key is None or key.scope != "admin":
            raise Problem(403, "scope", "a key with the scope admin is needed")
