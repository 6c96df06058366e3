"""The connection of a command to a Ray cluster: made without telling secrets, and watched.

Ray waits for a cluster whose head has died, and then ends the process that uses it. Here the
connection is looked at now and then, so that a command can end with an error of its own.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from taskbank.errors import UnreachableError
from taskbank.redaction import redacted

LOOK = 5.0  # seconds between looks at whether the cluster is still there
OBJECT_STORE = 256 << 20  # bytes of a cluster that is started here: jobs and results are small


class RayConnection:
    """The connection to a cluster: the one that this process has made already, if it has.

    Args:
        server: the address of the cluster; None means to start one on this machine.

    Attributes:
        ray: the package Ray, connected.
        lost: whether the cluster was given up.

    Raises:
        UnreachableError: if the cluster cannot be reached.
    """

    def __init__(self, server: str | None) -> None:
        self.ray = _import_ray(starts=server is None)
        self.lost = False
        self._joined = self.ray.is_initialized()  # by the program that calls this
        if not self._joined:
            self._connect(server)
        self._looked = time.monotonic()
        self._head: tuple[str, str] | None = None  # a client has only its server, and asks that
        if not self.ray.util.client.ray.is_connected():
            host, _, port = self.ray.get_runtime_context().gcs_address.rpartition(":")
            self._head = host.strip("[]"), port

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if not self._joined:
            with suppress(Exception):
                self.ray.shutdown()
            self._let_ray_print(True)

    def wait(self, references: list[Any]) -> list[Any]:
        """Return what has come of some references, after `LOOK` seconds at most.

        Raises:
            UnreachableError: if the cluster was lost.
        """
        self._check_alive()
        try:
            ready, _ = self.ray.wait(references, num_returns=1, timeout=LOOK)
        except ConnectionError as error:  # of the client
            raise self._lose(_first_line(error).rstrip(".")) from None
        return list(ready)

    def _let_ray_print(self, may: bool) -> None:
        """Let Ray print what it notices, such as a machine that was lost, to stdout or not.

        There it would stand between the lines of --json; what matters to a job comes as an error.
        """
        self.ray._private.worker._worker_logs_enabled = may

    def _connect(self, server: str | None) -> None:
        given: dict[str, Any] = {"address": server}
        if server is None:
            given = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
        self._let_ray_print(False)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with _secrets_hidden(self.ray):
                self.ray.init(log_to_driver=False, logging_level="error", **given)
        except Exception as error:
            raise UnreachableError(
                f"the Ray cluster {server or 'on this machine'} cannot be reached: "
                f"{_first_line(error)}"
            ) from None
        finally:
            with suppress(ValueError):  # outside the main thread there are none to restore
                for number, handler in handlers.items():
                    signal.signal(number, handler)

    def _check_alive(self) -> None:
        """Raise if the cluster's head is gone, which Ray waits for, and then ends this process.

        Raises:
            UnreachableError: if the head does not answer, or Ray has ended on this machine.
        """
        if time.monotonic() < self._looked + LOOK:
            return
        if self._head is not None:
            try:
                socket.create_connection(self._head, timeout=LOOK).close()
            except OSError as error:
                raise self._lose(f"its head does not answer ({error.strerror or error})") from None
        alive = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}
        if self.ray.get_runtime_context().get_node_id() not in alive:
            raise self._lose("Ray has ended on the machine that it was reached by")
        self._looked = time.monotonic()

    def _lose(self, reason: str) -> UnreachableError:
        """Give the cluster up, and return the error to raise."""
        self.lost = True
        return UnreachableError(
            f"the Ray cluster was lost: {reason}; run the command again once it is there: what is "
            "stored is not done again"
        )


def _import_ray(*, starts: bool) -> Any:
    """Import Ray, which reads these settings when it is imported.

    Args:
        starts: whether a cluster is started here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    if starts and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # Ray listens on every network: nobody else may run code here.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    import ray
    import ray.exceptions

    return ray


@contextmanager
def _secrets_hidden(ray: Any) -> Iterator[None]:
    """Let Ray record this command, which it shows to all who see the cluster, without secrets."""
    utils = ray._private.utils
    recorded = getattr(utils, "get_entrypoint_name", lambda: "taskbank")
    utils.get_entrypoint_name = lambda: redacted(recorded())
    try:
        yield
    finally:
        utils.get_entrypoint_name = recorded


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):  # what follows says why, in its last line
        return f"{lines[0]} {lines[-1]}"
    return lines[0] if lines else type(error).__name__
