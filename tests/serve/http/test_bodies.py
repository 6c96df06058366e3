"""Bodies are read up to limits, whatever their form."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from taskbank.serve.http import bodies
from taskbank.serve.http.bodies import as_object, read_body, read_json
from taskbank.serve.http.problems import Problem

LIMIT = 1000


def request(chunks: Sequence[bytes | None], **headers: str) -> Request:
    """Return a request whose body comes in chunks; at None the client waits forever."""
    waiting = list(chunks)

    async def receive() -> Message:
        if not waiting:
            return {"type": "http.disconnect"}
        chunk = waiting.pop(0)
        if chunk is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": lines, "method": "POST", "path": "/"}, receive)


async def remaining(read: Request) -> int:
    """Return the number of parts of a body that have not been read."""
    count = 0
    while (await read._receive())["type"] == "http.request":
        count += 1
    return count


def read(*chunks: bytes | None, **headers: str) -> bytes:
    """Read a body."""
    return bytes(asyncio.run(read_body(request(chunks, **headers), LIMIT)))


def refused(*chunks: bytes | None, **headers: str) -> tuple[int, str]:
    """Read a body that is refused; return the status and the kind of the problem."""
    with pytest.raises(Problem) as caught:
        read(*chunks, **headers)
    return caught.value.status, caught.value.kind


def test_bodies_are_put_together_and_decompressed() -> None:
    """A body is whole, however it was cut and compressed."""
    text = bytes(range(250)) * 4
    assert read(text[:10], text[10:]) == text
    assert read(text, content_length=str(LIMIT)) == text
    for packed, name in ((gzip.compress(text), "gzip"), (zlib.compress(text), "deflate")):
        assert read(*(packed[i : i + 7] for i in range(0, len(packed), 7)), content_encoding=name)
        assert read(packed, content_encoding=name.upper()) == text


def test_large_bodies_are_refused_by_name() -> None:
    """What is too long, said to be, or becomes so, is refused with the name of the limit."""
    too_large = (413, "body-limit")
    assert refused(b"x" * (LIMIT + 1)) == too_large
    assert refused(b"x" * 600, b"x" * 600) == too_large
    for length in ("1001", "9" * 5000, "-1", "1e3", "²", ""):
        assert refused(b"x", content_length=length) == too_large
    bomb = gzip.compress(b"\x00" * 50_000_000)
    assert refused(bomb, content_encoding="gzip") == too_large
    with pytest.raises(Problem, match="--max-body"):
        read(bomb, content_encoding="gzip")


def test_a_large_body_is_read_on_for_a_while() -> None:
    """A client that is still sending gets to read the answer, unless it sends far too much."""
    for count, left in ((3, 0), (100, 95)):
        large = request([b"x" * LIMIT] * count)
        with pytest.raises(Problem):
            asyncio.run(read_body(large, LIMIT))
        assert asyncio.run(remaining(large)) == left
    asking = request([b"x" * LIMIT] * 3, content_length="9999", expect="100-continue")
    with pytest.raises(Problem):
        asyncio.run(read_body(asking, LIMIT))
    assert asyncio.run(remaining(asking)) == 3


def test_broken_compression_is_refused() -> None:
    """Data that are no gzip, end too early, or go on afterwards are refused, not kept."""
    packed = gzip.compress(b"{}" * 100)
    assert refused(b"no gzip at all", content_encoding="gzip") == (400, "body")
    assert refused(packed[:-3], content_encoding="gzip") == (400, "body")
    assert refused(packed + b"x" * 10, content_encoding="gzip") == (400, "body")
    assert refused(packed, *[b"x" * 50_000] * 100, content_encoding="gzip") == (400, "body")
    assert refused(b"{}", content_encoding="br") == (415, "encoding")


def test_a_slow_or_lost_client_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not arrive in time is refused, and so is one whose client is gone."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    assert refused(b"{", None) == (408, "time-limit")
    lost = request([b"{"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    lost._receive = receive
    with pytest.raises(Problem) as caught:
        asyncio.run(read_body(lost, LIMIT))
    assert caught.value.status == 408


def test_objects_have_known_keys() -> None:
    """A body that is no JSON, no object, or has an unknown key is refused with its name."""

    def read_object(body: bytes) -> Any:
        return as_object(asyncio.run(read_json(request([body]), LIMIT)), ("inputs",))

    assert read_object(json.dumps({"inputs": [1]}).encode()) == {"inputs": [1]}
    for body, status, why in (
        (b"{", 400, "not JSON"),
        (b"[]", 422, "inputs"),
        (b'{"input": 1}', 422, "'input' is unknown"),
    ):
        with pytest.raises(Problem, match=why) as caught:
            read_object(body)
        assert caught.value.status == status
