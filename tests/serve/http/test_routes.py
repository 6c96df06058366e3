"""Functions become routes, and their errors problems."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from taskbank.bank.bank import Bank
from taskbank.errors import NotFoundError
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Endpoint, routes
from taskbank.serve.http.service import Service
from tests.helpers.serving import service_of


async def value(_service: Service, _request: Request) -> Any:
    """Return a value."""
    return {"a": 1}


async def response(_service: Service, _request: Request) -> Any:
    """Return a response."""
    return Response("text")


async def missing(_service: Service, _request: Request) -> Any:
    """Raise an error of taskbank."""
    raise NotFoundError("no such task")


async def busy(_service: Service, _request: Request) -> Any:
    """Raise a problem."""
    raise Problem(429, "overloaded", "later", {"retry-after": "2"})


def test_values_responses_and_errors(served: Bank) -> None:
    """A value is sent as JSON, a response as it is, an error as its problem in the given form."""
    service = service_of(served)
    endpoints = [Endpoint(f"/{one.__name__}", one) for one in (value, response, missing, busy)]
    endpoints.append(Endpoint("/admin", value, "PUT", "admin"))
    plain = TestClient(Starlette(routes=list(routes(service, endpoints))))
    assert plain.get("/value").json() == {"a": 1}
    assert plain.get("/response").text == "text"
    assert plain.get("/missing").json()["type"].endswith("not-found")
    assert plain.get("/busy").headers["retry-after"] == "2"
    assert plain.put("/admin").status_code == 403
    own = routes(service, endpoints, lambda problem: {"error": problem.detail})
    other = TestClient(Starlette(routes=list(own)))
    found = other.get("/missing")
    assert (found.status_code, found.json()) == (404, {"error": "no such task"})
    assert 'reason="overloaded"' in service.metrics.text().decode()
