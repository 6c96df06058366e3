"""Connections on which a client is too slow or sends too much are closed."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from taskbank.bank.bank import Bank
from taskbank.serve.http import connection as module
from taskbank.serve.http.connection import LimitedConnection
from tests.helpers.live_server import LiveServer, post, status_of
from tests.helpers.serving import service_of

pytestmark = pytest.mark.slow
GET = b"GET /live HTTP/1.1\r\nhost: x\r\n"
PATH = "/v1/tasks/mood/predict"
BODY = json.dumps({"inputs": ["the film was good"]}).encode()


@pytest.fixture(scope="module")
def server(served: Bank) -> Iterator[LiveServer]:
    """A server on a socket, which waits half a second for heads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HEAD_SECONDS", 0.5)
        patch.setattr(module, "SEND_SECONDS", 0.5)
        with LiveServer(service_of(served, access_log=False, max_tokens=10**9)) as started:
            yield started


def is_closed(connection: socket.socket, within: float) -> bool:
    """Return whether the server closes a connection within some seconds."""
    connection.settimeout(within)
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def flooded(connection: socket.socket, part: bytes, megabytes: int) -> bool:
    """Send a lot, and return whether the server has put an end to it."""
    connection.settimeout(5)
    try:
        for _ in range(megabytes * 10):
            connection.sendall(part * (100_000 // len(part)))
    except OSError:
        return True
    return is_closed(connection, 1)


def dripped(connection: socket.socket) -> bool:
    """Send a byte now and then for some seconds, and return whether the server ends it."""
    try:
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        return True
    return False


def test_requests_are_answered(server: LiveServer) -> None:
    """One after another on one connection, in one packet, byte by byte, and in chunks."""
    assert status_of(server.talk(post(PATH, BODY))) == 200
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(GET + b"\r\n")
            assert status_of(connection.recv(1000)) == 200
    many = (GET + b"\r\n") * 5 + GET + b"connection: close\r\n\r\n"
    assert server.talk(many).count(b"HTTP/1.1 200 OK") == 6
    request = post(PATH, BODY)
    assert status_of(server.talk(*(request[i : i + 1] for i in range(len(request))))) == 200
    chunks = b"".join(b"1\r\n" + BODY[i : i + 1] + b"\r\n" for i in range(len(BODY)))
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".encode()
    chunked = head + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n"
    assert status_of(server.talk(chunked + b"x-after: y\r\n\r\n")) == 200


def test_a_key_after_the_body_is_no_key(server: LiveServer) -> None:
    """What follows a body does not count as a head."""
    head = (
        b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    answer = server.talk(head + b"0\r\nx-request-id: mine\r\n\r\n")
    assert status_of(answer) == 200
    assert b"mine" not in answer


@pytest.mark.parametrize("first", [b"", b"G", GET, b"\r\n"])
def test_a_slow_head_is_given_up(server: LiveServer, first: bytes) -> None:
    """A connection without a request, or with a part of one, is closed."""
    with server.connect() as connection:
        connection.sendall(first)
        assert is_closed(connection, 2)


def test_dripping_changes_nothing(server: LiveServer) -> None:
    """A byte of a head now and then does not keep a connection, also after a first request."""
    for before in (b"", GET + b"\r\n"):
        with server.connect() as connection:
            if before:
                connection.sendall(before)
                connection.recv(1000)
            started = time.monotonic()
            assert dripped(connection)
            assert time.monotonic() - started < 3


def test_a_body_that_nobody_reads_is_given_up(server: LiveServer) -> None:
    """After an answer that did not wait for the body, its rest does not keep a connection."""
    head = b"POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head)
        assert status_of(connection.recv(1000)) == 404
        started = time.monotonic()
        assert dripped(connection)
        assert time.monotonic() - started < 3


def test_a_refused_body_is_drained(server: LiveServer) -> None:
    """A client that sends all of a body that is too large still gets to read why it was refused."""
    answer = server.talk(post(PATH, b" " * (9 << 20)))
    assert status_of(answer) == 413
    assert b"--max-body" in answer


def test_endless_heads_are_refused(server: LiveServer) -> None:
    """A head without end is cut off: the first, one after an answer, and one during another."""
    endless = b"x-header: " + b"y" * 990 + b"\r\n"
    with server.connect() as connection:
        connection.sendall(GET)
        assert flooded(connection, endless, 5)
    with server.connect() as connection:  # the body of the first comes after its answer
        connection.sendall(b"POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
        assert status_of(connection.recv(1000)) == 404
        connection.sendall(b"{}" + GET)
        assert flooded(connection, endless, 5)
    with server.connect() as connection:
        rows = json.dumps({"inputs": ["the film was good"] * 5000}).encode()
        connection.sendall(post(PATH, rows).replace(b"connection: close\r\n", b"") + GET)
        assert flooded(connection, endless, 20)


def test_endless_trailers_and_chunks_are_refused(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a body, and the sizes of its chunks, are cut off too."""
    monkeypatch.setattr(module, "FRAMING_BYTES", 100_000)
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    for begin, part in ((b"0\r\n", b"x: yyy\r\n"), (b"0\r\nx: ", b"y"), (b"1;", b"x")):
        with server.connect() as connection:
            connection.sendall(head + begin)
            assert flooded(connection, part, 5)


def test_a_client_that_does_not_read_is_given_up(server: LiveServer) -> None:
    """An answer that nobody reads does not keep its connection."""
    text = "the film was good " * 100
    request = post(PATH, json.dumps({"inputs": [text] * 3000}).encode())
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request)
        deadline = time.monotonic() + 30
        connections = server._server.server_state.connections
        while not any(one._send_timer for one in connections):  # type: ignore[union-attr]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        while connections and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not connections


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 40 + b"\r\n\r\n",
        GET + b"\r\n" + b"\x00\x01garbage\r\n\r\n",
    ],
)  # fmt: skip
def test_garbage_is_refused(server: LiveServer, garbage: bytes) -> None:
    """What is no HTTP is answered with a refusal, and the next client as ever."""
    answer = server.talk(garbage)
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses
    assert all(200 <= status < 500 for status in statuses)
    assert statuses[-1] >= 400
    assert status_of(server.talk(GET + b"connection: close\r\n\r\n")) == 200


def test_garbage_ends_the_request_before_it() -> None:
    """A request whose client sends garbage is told that the client is gone, before it answers."""
    told: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        told.append(await receive())

    async def converse() -> None:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
        connection = LimitedConnection(config, ServerState(), {})
        connection.connection_made(Mock(**{"is_closing.return_value": False}))
        connection.data_received(GET + b"content-length: 5\r\n\r\n{}")
        connection.data_received(b"123\x00\x01 garbage\r\n\r\n")
        await asyncio.sleep(0.01)
        connection.connection_lost(None)

    asyncio.run(converse())
    assert told == [{"type": "http.disconnect"}]


def test_a_client_that_goes_away_is_not_computed_for(server: LiveServer) -> None:
    """The rows of a client that has closed its connection are dropped."""
    engine = server.service.engine
    assert engine is not None
    with server.connect() as connection:
        rows = json.dumps({"inputs": ["the film was good"] * 9000}).encode()
        connection.sendall(post(PATH, rows))
        deadline = time.monotonic() + 10
        while engine.waiting_rows < 9000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    deadline = time.monotonic() + 2
    while engine.waiting_rows:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert 'reason="disconnected"' in server.service.metrics.text().decode()
