"""Serves a bank on a Ray cluster: the application of `taskbank serve` as a Ray Serve deployment.

    serve run taskbank.serve.ray:build keys=/run/secrets/keys.jsonl replicas=2

Every replica is a process with the encoder. Requests for a task prefer the replica that has its
adapter loaded; see `taskbank.serve.ray_router`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from taskbank.bank.url import parse_url
from taskbank.errors import InputError, MissingExtraError
from taskbank.serve import check_extra

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from taskbank.serve.http.options import ServeOptions

NAME = "taskbank"
# Requests that a replica may have taken; beyond, they wait in the proxy, where no deadline counts.
# Large, so that it is the server's own limits that refuse.
MOST_REQUESTS = 1000


def deployment(
    bank: str | None = None,
    *,
    keys: str | os.PathLike[str],
    replicas: int = 1,
    threads: int = 1,
    **options: Any,
) -> Any:
    """Return a Ray Serve application that answers with every task of a bank.

    Args:
        bank: the bank's URL; None means TASKBANK_BANK in the environment of the replicas, where a
            password is not shown by Ray's dashboard.
        keys: a file of the keys that clients need; every machine needs it.
        replicas: number of processes that answer.
        threads: the processors of a replica, which computes on as many threads.
        options: what to serve, as `taskbank.serve.http.options.ServeOptions` describes it; with
            the device `cuda` every replica gets a GPU, and otherwise none.

    Raises:
        MissingExtraError: if Ray Serve is not installed.
        InputError: if an option is invalid.
    """
    serve = _import_serve()
    from taskbank.serve.http.options import serve_options

    for name, number in (("replicas", replicas), ("threads", threads)):
        if number < 1:
            raise InputError(f"{name} is {number}: it must be at least 1")
    chosen = serve_options(**options)
    file = None if bank is None else parse_url(bank).file
    url, key_file = bank if file is None else str(file), str(Path(keys).absolute())

    def make() -> ASGIApp:
        return _application(url, key_file, threads, chosen)

    deployed = serve.deployment(
        serve.ingress(make)(),
        name=NAME,
        num_replicas=replicas,
        max_ongoing_requests=MOST_REQUESTS,
        graceful_shutdown_timeout_s=chosen.deadline + 1,
        ray_actor_options={"num_cpus": threads, "num_gpus": int(chosen.device == "cuda")},
        request_router_config=serve.config.RequestRouterConfig(
            request_router_class="taskbank.serve.ray_router:TaskRouter"
        ),
    )
    return deployed.bind()


def build(args: Mapping[str, Any]) -> Any:
    """Return the application for `serve run taskbank.serve.ray:build NAME=VALUE …`.

    Args:
        args: the arguments of `deployment`, which may be texts; lists have commas.

    Raises:
        MissingExtraError: if Ray Serve is not installed.
        InputError: if an argument is invalid.
    """
    _import_serve()
    if "keys" not in args:
        raise InputError(
            "Ray Serve can be reached from other machines, so clients need keys: make one with "
            "taskbank keys add NAME --keys FILE, and give keys=FILE"
        )
    return deployment(**{name: _typed(name, value) for name, value in args.items()})


def _import_serve() -> Any:
    check_extra()
    try:
        import ray.serve.config
    except ImportError:
        raise MissingExtraError(
            "Ray Serve is not installed: run pip install 'taskbank[ray-serve]'"
        ) from None
    return ray.serve


def _typed(name: str, value: Any) -> Any:
    """Return an argument in its type."""
    from pydantic import TypeAdapter, ValidationError

    from taskbank.serve.http.options import ServeOptions

    hint = ({"replicas": int, "threads": int} | get_type_hints(ServeOptions)).get(name)
    if hint is None:  # a text, or an argument that there is not
        return value
    if hint == tuple[str, ...] and isinstance(value, str):
        value = value.split(",")
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise InputError(f"{name} is {value!r}: {error.errors()[0]['msg']}") from None


def _application(bank: str | None, keys: str, threads: int, options: ServeOptions) -> ASGIApp:
    """Return the application in a replica's process."""
    from taskbank.runtime import startup

    startup.claim_process()
    startup.import_libraries()
    import logging

    import torch

    from taskbank.bank.open import open_bank
    from taskbank.serve.http.application import application
    from taskbank.serve.http.log_lines import log_to_stderr
    from taskbank.serve.http.run import SWITCH_SECONDS
    from taskbank.serve.http.service import Service

    url = bank or os.environ.get("TASKBANK_BANK")
    if url is None:
        raise InputError("no bank is named: set TASKBANK_BANK in the environment, or give bank=URL")
    torch.set_num_threads(threads)
    sys.setswitchinterval(SWITCH_SECONDS)
    log_to_stderr()
    service = Service(open_bank(url), options, Path(keys))
    if options.preload:
        for problem in service.preload():
            logging.getLogger("taskbank.serve").error("not loaded: %s", problem)
    return application(service)
