"""What went wrong with a request, and the HTTP status that says so.

Errors have the form of RFC 9457; the interfaces of other servers put the same text into their own.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from taskbank.digests import Json
from taskbank.errors import (
    BackboneMismatchError,
    BankError,
    ConflictError,
    InputError,
    NotFoundError,
    NotWritableError,
    OverloadedError,
    ResourceError,
    TaskbankError,
)
from taskbank.redaction import redacted
from taskbank.serve.http.json_text import json_bytes

UNREACHABLE_RETRY = 5  # seconds
DETAIL = 500  # characters of an error's words, which may quote a client's
STATUSES: tuple[tuple[type[TaskbankError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (NotWritableError, 409),
    (InputError, 422),
    (OverloadedError, 429),
    (ResourceError, 503),
    (BankError, 503),
    (BackboneMismatchError, 503),
)


class Problem(Exception):
    """A request that gets no answer.

    Attributes:
        status: the HTTP status.
        kind: the problem in one or two words, such as `row-limit`; clients can rely on it.
        detail: what happened and what to do, for people.
        headers: further headers of the response.
    """

    def __init__(
        self, status: int, kind: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers = headers or {}

    def to_json(self) -> dict[str, Json]:
        """Return the problem as RFC 9457 has it."""
        return {
            "type": f"urn:taskbank:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }

    def response(self, body: dict[str, Json] | None = None) -> Response:
        """Return the response that reports the problem.

        Args:
            body: its JSON in another server's form; None means the form of RFC 9457.
        """
        media_type = "application/problem+json" if body is None else "application/json"
        content = json_bytes(self.to_json() if body is None else body)
        return Response(content, self.status, self.headers, media_type)


def problem_of(error: TaskbankError) -> Problem:
    """Return the problem that an error of taskbank is for a client."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    headers = {}
    if isinstance(error, OverloadedError):
        headers["retry-after"] = f"{error.retry_after:.0f}"
    elif isinstance(error, ResourceError):
        headers["retry-after"] = str(UNREACHABLE_RETRY)
    name = type(error).__name__.removesuffix("Error")
    kind = "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
    return Problem(status, kind, redacted(_shortened(str(error))), headers)


def limit(status: int, name: str, detail: str) -> Problem:
    """Return the problem that a request exceeds a limit.

    Args:
        status: the HTTP status.
        name: which limit, as `body` or `rows`.
        detail: what was found and what the limit is.
    """
    return Problem(status, f"{name}-limit", detail)


def _shortened(text: str) -> str:
    return text if len(text) <= DETAIL else f"{text[:DETAIL]}…"
