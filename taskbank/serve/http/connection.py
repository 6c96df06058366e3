"""A connection that slow or endless requests cannot hold: uvicorn's own, with limits.

uvicorn waits without end for the first request of a connection, and for the end of its head.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # from the connection, or the first byte of a further request, to the body
HEAD_BYTES = 64 << 10


class LimitedConnection(HttpToolsProtocol):
    """Closes connections that send the head of a request too slowly, or one that is too large."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, but not forever."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._begin_head()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to the head of a request."""
        if self._head_timer is None and self._between_requests:
            self._begin_head()
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        # Whatever comes with the end of the head in one piece does not count.
        if self._head_timer is not None and self._head_bytes > HEAD_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Let the application read the body in its own time."""
        self._end_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._end_head()
        super().connection_lost(exc)

    @property
    def _between_requests(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or (cycle.response_complete and not cycle.more_body)

    def _begin_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
