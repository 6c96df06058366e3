"""Reads the body of a request: no larger, no slower and no deeper than is allowed."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from starlette.requests import ClientDisconnect, Request

from taskbank.serve.http.json_text import parse_json
from taskbank.serve.http.problems import Problem, limit

BODY_SECONDS = 30.0  # a client that sends its body more slowly is refused
DISCARDED = 4  # times the allowed size is read of a body that is too large


async def read_body(request: Request, max_body: int) -> bytearray:
    """Return the body of a request, decompressed if it is compressed.

    Raises:
        Problem: if it is larger than allowed, too slow, or compressed in an unknown way.
    """
    problem: Problem | None = None
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 18 or int(declared) > max_body:
        problem = _too_large(f"content-length is {declared[:20]}", max_body)
        if "expect" in request.headers:  # the client asks before it sends the body
            raise problem
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "deflate"):
        raise Problem(
            415, "encoding", f"content-encoding {encoding[:40]!r} is unknown: use gzip or none"
        )
    unpack = None if encoding == "identity" else zlib.decompressobj(wbits=47)
    body, received = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                received += len(chunk)
                if problem is not None:
                    # A client that is still sending would not read the answer.
                    if received > DISCARDED * max_body:
                        break
                    continue
                if unpack is not None:
                    # One byte more than allowed tells a body that is too large.
                    chunk = unpack.decompress(chunk, max_body + 1 - len(body))
                    if unpack.unused_data:  # zlib would keep all that follows
                        raise Problem(400, "body", f"the body goes on after its {encoding} data")
                body += chunk
                if len(body) > max_body:
                    problem = _too_large("the body is larger", max_body)
    except TimeoutError:
        late = f"the body did not arrive within {BODY_SECONDS:g} s"
        raise problem or limit(408, "time", late) from None
    except zlib.error as error:
        raise Problem(400, "body", f"the body is not {encoding}: {error}") from None
    except ClientDisconnect:
        raise Problem(408, "disconnected", "the client closed the connection") from None
    if problem is not None:
        raise problem
    if unpack is not None and not unpack.eof:
        raise Problem(400, "body", f"the body ends within its {encoding} data")
    return body


async def read_json(request: Request, max_body: int) -> Any:
    """Return the JSON value in the body of a request.

    Raises:
        Problem: if the body is not JSON, or `read_body` refuses it.
    """
    return as_json(await read_body(request, max_body))


def as_json(body: bytes | bytearray) -> Any:
    """Return the JSON value of a body.

    Raises:
        Problem: if it is not JSON.
    """
    try:
        return parse_json(body)
    except ValueError as error:
        raise Problem(400, "body", f"the body is not JSON: {str(error)[:200]}") from None


def as_object(value: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Return a JSON value that must be an object with known keys.

    Raises:
        Problem: if it is another value, or has another key.
    """
    if not isinstance(value, dict):
        raise Problem(422, "body", f"the body must be a JSON object with {', '.join(known)}")
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise Problem(
            422, "body", f"the key {unknown[0][:40]!r} is unknown: use {', '.join(known)}"
        )
    return value


def _too_large(found: str, max_body: int) -> Problem:
    return limit(
        413,
        "body",
        f"{found}: a body may have {max_body:,} bytes, --max-body; send fewer inputs at once",
    )
