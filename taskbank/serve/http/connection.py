"""A connection that slow or endless requests cannot hold: uvicorn's own, with limits.

uvicorn waits without end for the head of a request, for a body that nobody reads, and for a client
that does not read its answer. It also keeps whatever a client puts into a head.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # for a head, from the connection or its first byte, and for an unread body
SEND_SECONDS = 60.0  # in which a client must read most of what was sent
HEAD_BYTES = 64 << 10
FRAMING_BYTES = 4 << 20  # what comes with a body besides it: the sizes of its chunks, and trailers


class LimitedConnection(HttpToolsProtocol):
    """Closes connections on which a client sends or reads too slowly, or sends too much."""

    _extra_bytes = 0  # of the head, or of a body's framing
    _in_body = False
    _timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, but not forever."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._begin_timer()

    def data_received(self, data: bytes) -> None:
        """Count what is no body."""
        if self._is_idle:
            self._begin_timer()
        self._extra_bytes += len(data)
        super().data_received(data)
        if self._extra_bytes > (FRAMING_BYTES if self._in_body else HEAD_BYTES):
            self.transport.close()
            self._drop()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and with it the request before it that is being answered."""
        super().send_400_response(msg)
        self._drop()

    def on_message_begin(self) -> None:
        """Count anew for a further request."""
        super().on_message_begin()
        self._begin_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Leave out what follows a body, which would count as its head."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the application read the body in its own time."""
        self._end_timer()
        # Whatever comes with the end of the head in one piece does not count.
        self._extra_bytes, self._in_body = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Leave the body to the application, which has its own limit."""
        self._extra_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect a further request."""
        self._end_timer()
        self._extra_bytes, self._in_body = 0, False
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not forever."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on sending."""
        self._end_send_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._end_timer()
        self._end_send_timer()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is being answered, so that what comes is a head or a body left over."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _drop(self) -> None:
        """Tell a request that is being answered that its client is gone."""
        if not self._is_idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _begin_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self._is_idle:  # the rest of a head may be held back until the answer before it
            self._begin_timer()
        elif not self.transport.is_closing():
            self.transport.close()
