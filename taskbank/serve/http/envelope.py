"""What surrounds every request: its host, id, key and times, and one line in the log.

The log never has a text of a client, nor a key. `Envelope` is plain ASGI, as it runs for every
request.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskbank.runtime.clock import now
from taskbank.serve.http.hosts import check_host
from taskbank.serve.http.keys import Key
from taskbank.serve.http.pages import cookie_of, is_open, is_page, sign_in_first, wants_page
from taskbank.serve.http.problems import Problem
from taskbank.serve.http.service import Service

if TYPE_CHECKING:
    from taskbank.serve.job import Job

# The probes of an orchestrator have no key.
OPEN = ("/live", "/ready", "/v2/health/live", "/v2/health/ready")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNKNOWN = "(unknown)"  # the route of a path that there is not
requests_log = logging.getLogger("taskbank.serve.requests")
log = logging.getLogger("taskbank.serve")


class Envelope:
    """Surrounds an application's requests; see the module.

    Args:
        app: the application.
        service: the service that the application answers with.
        answers: returns whether there is a route for a request.
    """

    def __init__(self, app: ASGIApp, service: Service, answers: Callable[[Scope], bool]) -> None:
        self.app, self.service, self.answers = app, service, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        state = scope.setdefault("state", {})
        state["request_id"] = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), state, perf_counter() - started)
            await send(message)

        try:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            refused = self._refuse(path, headers, Request(scope), state)
            await (refused or self.app)(scope, receive, send_with_headers)
        except Exception as error:
            # The error's own words may quote a text of the client.
            places = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s in request %s\n%s", type(error).__name__, state["request_id"], places)
            if status:  # too late for an answer: the connection is closed
                raise
            problem = Problem(
                500,
                "defect",
                "this is a defect of taskbank; the server's log has the details under request "
                f"{state['request_id']}",
            )
            await problem.response()(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, perf_counter() - started)

    def _refuse(
        self, path: str, headers: Headers, request: Request, state: dict[str, object]
    ) -> Response | None:
        if path in OPEN:  # the probes ask for an address, and learn nothing
            return None
        problem = check_host(headers.get("host"), self.service.options.allowed_hosts)
        if problem is not None:
            return problem.response()
        keys = self.service.keys
        if keys is None:
            return None
        # A session is for pages only, so no form of another site can use the API with it.
        shown = is_page(path) or self._is_missing_page(request)
        key = self._session_key(request) if shown else None
        if key is None:
            scheme, _, secret = headers.get("authorization", "").partition(" ")
            key = keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        if key is not None:
            state["key"] = key
            return None
        if shown:
            return None if is_open(path) else sign_in_first(request)
        return Problem(
            401,
            "key",
            "a key is needed: send it as Authorization: Bearer KEY",
            {"www-authenticate": "Bearer"},
        ).response()

    def _is_missing_page(self, request: Request) -> bool:
        """Return whether a person asks for what there is not: the answer is a page, too."""
        wanted = request.method in ("GET", "HEAD") and wants_page(request)
        return wanted and not self.answers(request.scope)

    def _session_key(self, request: Request) -> Key | None:
        keys = self.service.keys
        key = self.service.sessions.find(request.cookies.get(cookie_of(self.service, request), ""))
        return key if key is not None and keys is not None and keys.has(key) else None

    def _add_headers(
        self, headers: MutableHeaders, state: dict[str, object], seconds: float
    ) -> None:
        headers["x-request-id"] = str(state["request_id"])
        jobs: list[Job] = state.get("jobs", [])  # type: ignore[assignment]
        headers["server-timing"] = ", ".join(_timings(jobs, seconds))
        if len(jobs) == 1:
            record = jobs[0].record
            headers["x-taskbank-task"] = record.task
            headers["x-taskbank-version"] = str(record.version)
            headers["x-taskbank-digest"] = record.digest
        if self.service.draining:
            headers["connection"] = "close"

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        state = scope["state"]
        route = state.get("route", UNKNOWN)
        self.service.metrics.requests.labels(route, str(status)).inc()
        self.service.metrics.seconds.observe(seconds)
        if not self.service.options.access_log:
            return
        key: Key | None = state.get("key")
        jobs: list[Job] = state.get("jobs", [])
        line = {
            "at": now(),
            "request": state["request_id"],
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 2),
        }
        if key is not None:
            line["client"] = key.name
        if jobs:
            line["rows"] = sum(len(job.rows) for job in jobs)
            line["tasks"] = [job.record.ref for job in jobs[:10]]
            line["waiting_ms"] = round(1000 * max(job.spent.waiting for job in jobs), 2)
            line["computing_ms"] = round(1000 * max(job.spent.computing for job in jobs), 2)
        requests_log.info(json.dumps(line))


def _timings(jobs: list[Job], seconds: float) -> Iterator[str]:
    if jobs:
        spent = [job.spent for job in jobs]
        yield f"queue;dur={1000 * max(one.waiting for one in spent):.2f}"
        yield f"tokenise;dur={1000 * max(one.tokenising for one in spent):.2f}"
        yield f"compute;dur={1000 * max(one.computing for one in spent):.2f}"
    yield f"total;dur={1000 * seconds:.2f}"
