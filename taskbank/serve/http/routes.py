"""Turns a function of an interface into a route of the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

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
        predicts: whether it makes predictions, which an overloaded server refuses.
    """

    path: str
    handler: Handler
    method: str = "GET"
    scope: Scope = "read"
    predicts: bool = False


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
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [
        Route(path, _Answer(service, path, by_method, error_body))
        for path, by_method in by_path.items()
    ]


class _Answer:
    """What answers at one path: plain ASGI, as Starlette's wrappers cost more than they do here."""

    def __init__(
        self,
        service: Service,
        path: str,
        by_method: dict[str, Endpoint],
        error_body: ErrorBody | None,
    ) -> None:
        self.service, self.path, self.by_method = service, path, by_method
        self.error_body = error_body

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        response = await self._response(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        endpoint = self.by_method.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            return no_route(request, 405, {"allow": ", ".join(self.by_method)}).response()
        request.state.route = f"{endpoint.method} {self.path}"
        try:
            _check_scope(request, endpoint)
            if endpoint.predicts:
                self.service.check_room()  # before the body is read
            found = await endpoint.handler(self.service, request)
        except (Problem, TaskbankError) as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            if problem.status == 429:
                self.service.metrics.dropped.labels("overloaded").inc()
            return problem.response(None if self.error_body is None else self.error_body(problem))
        if isinstance(found, Response):
            return found
        return Response(json_bytes(found), media_type="application/json")


def no_route(request: Request, status: int = 404, headers: dict[str, str] | None = None) -> Problem:
    """Return the problem of a path, or a method of it, that there is not."""
    detail = f"there is no {request.method} {request.url.path[:100]}: see /openapi.json"
    return Problem(status, "method" if status == 405 else "path", detail, headers)


def _check_scope(request: Request, endpoint: Endpoint) -> None:
    if endpoint.scope == "admin":
        key = getattr(request.state, "key", None)
        if key is None or key.scope != "admin":
            raise Problem(403, "scope", "a key with the scope admin is needed")
