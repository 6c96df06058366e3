"""The options of a server: what it serves, and the limits of a request."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from taskbank.errors import InputError
from taskbank.serve.model_cache import MEMORY

BATCH_TOKENS = 1024  # on two cores, larger batches compute no more rows in a second
BATCH_TOKENS_GPU = 16_384


@dataclass(frozen=True)
class ServeOptions:
    """What a server serves, and how much.

    Attributes:
        tasks: names of tasks, or patterns such as `ticket-*`; empty means all.
        alias: the alias that a plain task name stands for; None means the newest version in use.
        backbone: source to load the backbone from; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        max_batch_tokens: maximum number of tokens of a batch; None means what suits the device.
        queue: maximum number of rows that wait.
        deadline: seconds after which a request is answered with an error.
        memory: maximum size of the loaded adapters in bytes.
        preload: whether to load adapters before the first request, as many as `memory` holds.
        max_body: maximum size of a request's body in bytes.
        max_rows: maximum number of inputs of a request.
        max_tokens: maximum number of tokens of a request.
        canary: share of the requests that the alias `canary` answers, from 0 to 1.
        shadow: whether the alias `shadow` is computed beside each answer and compared with it.
        admin: whether aliases can be moved over HTTP.
        allowed_hosts: the host names that requests may be for, besides those of the loopback; empty
            means any, which suits an application that is mounted in another one.
        access_log: whether to log one line per request.
    """

    tasks: tuple[str, ...] = ()
    alias: str | None = None
    backbone: str | None = None
    device: str | None = None
    max_batch_tokens: int | None = None
    queue: int = 16_384
    deadline: float = 60.0
    memory: int = MEMORY
    preload: bool = False
    max_body: int = 8 << 20
    max_rows: int = 10_000
    max_tokens: int = 1 << 20
    canary: float = 0.0
    shadow: bool = False
    admin: bool = False
    allowed_hosts: tuple[str, ...] = ()
    access_log: bool = True

    def __post_init__(self) -> None:
        for name in ("queue", "memory", "max_body", "max_rows", "max_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.max_batch_tokens is not None and self.max_batch_tokens < 1:
            raise InputError(f"max_batch_tokens is {self.max_batch_tokens}: it must be at least 1")
        if not 0 < self.deadline < float("inf"):
            raise InputError(f"deadline is {self.deadline}: write a number of seconds above 0")
        if not 0 <= self.canary <= 1:
            raise InputError(f"canary is {self.canary}: write a share from 0 to 1, such as 0.05")


def serve_options(**given: Any) -> ServeOptions:
    """Return the options of a server.

    Raises:
        InputError: if there is no such option, or its value is invalid.
    """
    names = [field.name for field in fields(ServeOptions)]
    for name in given:
        if name not in names:
            raise InputError(f"the server has no option {name!r}: it has {', '.join(names)}")
    if isinstance(given.get("tasks"), str):
        given["tasks"] = (given["tasks"],)
    return ServeOptions(**(given | {"tasks": tuple(given.get("tasks", ()))}))
