"""Runs the server of `taskbank serve`: its socket, its signals, and its orderly end."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from taskbank.errors import InputError
from taskbank.serve.http.application import application
from taskbank.serve.http.connection import LimitedConnection
from taskbank.serve.http.service import Service

KEEP_ALIVE = 75  # seconds; longer than the 60 of common proxies, which then close first
SWITCH_SECONDS = 0.0005  # a thread that computes waits no longer for one that reads JSON
log = logging.getLogger("taskbank.serve")


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address, so that a taken one is found at once.

    Args:
        host: the name or address of an interface of this machine.
        port: the port; 0 means any free one.

    Raises:
        InputError: if the address is taken, or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"{host}:{port} cannot be listened on: {getattr(error, 'strerror', None) or error}; "
            "choose another with --host and --port"
        ) from None
    return opened


def run(
    service: Service,
    listening: socket.socket,
    drain: float,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until a signal ends the server.

    SIGTERM turns readiness off, and the server goes on for a while, until every balancer knows.
    Then it finishes what it has taken. SIGINT, or a second SIGTERM, leaves out the pause.

    Args:
        service: what answers.
        listening: where it listens.
        drain: how long to go on after SIGTERM, in seconds.
        on_ready: called when the first request can be answered.
    """
    # Threads share one interpreter: those that answer requests must not hold up the computing one.
    sys.setswitchinterval(SWITCH_SECONDS)
    make_server(service, drain, on_ready).run(sockets=[listening])


def make_server(
    service: Service, drain: float, on_ready: Callable[[], None] = lambda: None
) -> uvicorn.Server:
    """Return the server that `run` runs."""
    config = uvicorn.Config(
        application(service),
        http=LimitedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # no answer depends on who asks
        timeout_keep_alive=KEEP_ALIVE,
        # No request takes longer than the deadline, but its answer has to be sent.
        timeout_graceful_shutdown=math.ceil(service.options.deadline) + 1,
        backlog=1024,
    )
    return _Server(config, service, drain, on_ready)


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        drain: float,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self.service, self.drain, self.on_ready = service, drain, on_ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        except OSError as error:  # another server that was loading meanwhile was quicker
            raise InputError(
                f"the port cannot be listened on: {error.strerror}; choose another with --port"
            ) from None
        if self.started:
            self.on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Called between two instructions of the main thread: the loop does the rest.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end, sig)
        else:
            self.should_exit = True

    def _end(self, sig: int) -> None:
        if self.service.draining or sig != signal.SIGTERM or not self.drain or not self._loop:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.service.draining = True
            self.should_exit = True
            return
        log.info("ending in %g s: not ready for new clients any more", self.drain)
        self.service.draining = True
        self._loop.call_later(self.drain, self._exit)

    def _exit(self) -> None:
        self.should_exit = True
