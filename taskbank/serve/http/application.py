"""The application: every route of the server, ready to be mounted or run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from taskbank.errors import InputError
from taskbank.serve.http import (
    admin,
    health,
    huggingface,
    native,
    open_inference,
    openapi,
    pages,
    tei,
    vllm,
)
from taskbank.serve.http.envelope import Envelope
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.routes import Interface, no_route, routes
from taskbank.serve.http.service import Service

INTERFACES = (
    Interface("taskbank", native.ENDPOINTS),
    Interface("health", health.ENDPOINTS),
    Interface("Hugging Face", huggingface.ENDPOINTS, huggingface.error_body),
    Interface("text-embeddings-inference", tei.ENDPOINTS, tei.error_body),
    Interface("vLLM", vllm.ENDPOINTS, vllm.error_body),
    Interface("Open Inference Protocol", open_inference.ENDPOINTS, open_inference.error_body),
)
ADMIN = Interface("admin", admin.ENDPOINTS)
PAGES = Interface("pages", pages.ENDPOINTS)  # for people: /openapi.json does not describe it


def application(service: Service) -> ASGIApp:
    """Return the application that answers with a service.

    Raises:
        InputError: if aliases can be moved without a key.
    """
    if service.options.admin and service.keys is None:
        raise InputError(
            "aliases can be moved over HTTP with an admin key only: make one with taskbank keys "
            "add NAME --scope admin --keys FILE, and give --keys FILE"
        )

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.stop()

    interfaces = (*INTERFACES, ADMIN) if service.options.admin else INTERFACES
    router = Router(
        routes=[
            route
            for interface in (
                *interfaces,
                Interface("openapi", [openapi.endpoint(interfaces)]),
                PAGES,
            )
            for route in routes(service, interface.endpoints, interface.error_body)
        ],
        lifespan=lifespan,
        redirect_slashes=False,
        default=_no_route(service),
    )

    def answers(scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in router.routes)

    return Envelope(router, service, answers)


def _no_route(service: Service) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if pages.wants_page(request):
            missing = Problem(404, "path", f"There is no page {request.url.path[:100]}.")
            response = pages.problem_page(service, request, missing)
        else:
            response = no_route(request).response()
        await response(scope, receive, send)

    return answer
