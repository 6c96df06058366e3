"""The server's socket, and its orderly end."""

from __future__ import annotations

import errno
import json
import socket
import time
from threading import Thread
from typing import Any

import pytest
import uvicorn

from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from taskbank.serve.http.run import make_server, open_socket
from tests.helpers.live_server import LiveServer, post, status_of
from tests.helpers.serving import service_of

PREDICT = "/v1/tasks/mood/predict"
READY = b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def test_an_address_that_cannot_be_taken_is_named() -> None:
    """A port in use, a foreign address and a name that means nothing are refused."""
    with open_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        for host, number in (("127.0.0.1", port), ("192.0.2.1", 0), ("no host", 0), ("x" * 999, 0)):
            with pytest.raises(InputError, match="cannot be listened on"):
                open_socket(host, number)


def test_a_port_that_is_lost_while_loading_is_named(
    served: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another server listened first, the end is an error with words, not a defect."""

    async def lose(*_: Any, **__: Any) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(uvicorn.Server, "startup", lose)
    with open_socket("127.0.0.1", 0) as taken:
        server = make_server(service_of(served, access_log=False), 0)
        with pytest.raises(InputError, match="Address already in use; choose another"):
            server.run(sockets=[taken])


@pytest.mark.slow
def test_it_drains_and_finishes_what_it_took(served: Bank) -> None:
    """After SIGTERM it is not ready, goes on for a while, answers what it has, and ends."""
    with LiveServer(service_of(served, access_log=False), drain=0.5) as server:
        assert status_of(server.talk(READY)) == 200
        rows = json.dumps({"inputs": ["the film was good"] * 3000}).encode()
        answers: list[bytes] = []
        large = Thread(target=lambda: answers.append(server.talk(post(PREDICT, rows))))
        large.start()
        time.sleep(0.2)
        server.terminate()
        deadline = time.monotonic() + 0.4
        seen = []
        while time.monotonic() < deadline:
            seen.append(status_of(server.talk(READY)))
            assert status_of(server.talk(post(PREDICT, b'{"inputs": ["x"]}'))) == 200
        assert seen[-1] == 503
        server.wait()
        large.join()
    assert status_of(answers[0]) == 200
    assert answers[0].count(b'"score"') == 3000
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


@pytest.mark.slow
def test_a_second_signal_leaves_out_the_pause(served: Bank) -> None:
    """Whoever asks twice does not wait for the drain."""
    with LiveServer(service_of(served, access_log=False), drain=60) as server:
        server.terminate()
        time.sleep(0.1)
        assert status_of(server.talk(READY)) == 503
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_idle_and_slow_clients_do_not_hold_up_the_end(served: Bank) -> None:
    """Connections without a request, or with half of one, are closed at the end."""
    with LiveServer(service_of(served, access_log=False)) as server:
        idle, half = server.connect(), server.connect()
        half.sendall(b"POST /v1/pre")
        time.sleep(0.1)
        started = time.monotonic()
        server.terminate()
        server.wait()
        assert time.monotonic() - started < 3
        for connection in (idle, half):
            connection.close()
