"""Serves predictions of any number of tasks from one backbone: in the process, and over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from starlette.types import ASGIApp

    from taskbank.bank.bank import Bank


def app(bank: Bank, keys: str | os.PathLike[str] | None = None, **options: Any) -> ASGIApp:
    """Return an ASGI application that serves a bank's tasks over HTTP, to run or mount anywhere.

    The encoder is loaded at once. Whoever mounts the application in another one must run its
    lifespan, in which the threads that compute are started and ended.

    Args:
        bank: an open bank; it must stay open as long as the application is used.
        keys: a file of the keys that clients need; None means that they need none.
        options: what to serve, as `taskbank.serve.http.options.ServeOptions` describes it.

    Raises:
        MissingExtraError: if the extra `serve` is not installed.
        InputError: if an option is invalid, or the bank has no backbone.
        BackboneMismatchError: if the backbone differs from the recorded one.
    """
    from pathlib import Path

    check_extra()
    from taskbank.serve.http.application import application
    from taskbank.serve.http.options import serve_options
    from taskbank.serve.http.service import Service

    path = None if keys is None else Path(keys)
    return application(Service(bank, serve_options(**options), path))


def check_extra() -> None:
    """Raise unless what the server needs is installed.

    Raises:
        MissingExtraError: naming the extra.
    """
    from importlib.util import find_spec

    from taskbank.errors import MissingExtraError

    for name in ("starlette", "uvicorn", "httptools", "prometheus_client"):
        if find_spec(name) is None:
            raise MissingExtraError(
                f"the server needs {name}: install it with pip install 'taskbank[serve]'"
            )
