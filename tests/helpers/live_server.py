"""A real server in a thread, for tests of what happens on sockets."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from threading import Event, Thread
from types import TracebackType

from taskbank.serve.http.run import make_server, open_socket
from taskbank.serve.http.service import Service

WAIT = 20.0  # seconds until a test gives up


class LiveServer:
    """A server on a port of this machine, while it is used as a context manager.

    Args:
        service: what answers.
        drain: how long it goes on after SIGTERM, in seconds.
    """

    def __init__(self, service: Service, drain: float = 0.0) -> None:
        self.service = service
        self._ready = Event()
        self._server = make_server(service, drain, self._ready.set)
        self._listening = open_socket("127.0.0.1", 0)
        self.port = int(self._listening.getsockname()[1])
        self._thread = Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True
        )

    def __enter__(self) -> LiveServer:
        self._thread.start()
        assert self._ready.wait(WAIT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self.wait()

    def terminate(self) -> None:
        """Do what SIGTERM does."""
        self._server.handle_exit(signal.SIGTERM, None)

    def wait(self) -> None:
        """Wait until it has ended."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def talk(self, *parts: bytes) -> bytes:
        """Send some bytes over a new connection, and return all that comes until it is closed."""
        with self.connect() as connection:
            return talk(connection, parts)


def talk(connection: socket.socket, parts: Iterable[bytes]) -> bytes:
    """Send some bytes, and return all that comes until the connection is closed."""
    answer = b""
    try:
        for part in parts:
            connection.sendall(part)
        while received := connection.recv(1 << 16):
            answer += received
    except (ConnectionResetError, BrokenPipeError):
        pass
    return answer


def status_of(answer: bytes) -> int:
    """Return the status of the first answer; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return a request that ends its connection."""
    lines = [f"POST {path} HTTP/1.1", "host: x", "connection: close", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
