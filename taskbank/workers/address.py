"""Parses where to run jobs: `ray`, or `ray://HOST:PORT`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from taskbank.errors import InputError

FORMS = (
    "write ray for the cluster of RAY_ADDRESS or else this machine, or ray://HOST:PORT for the "
    "client server of a cluster; ?threads=N after it gives every worker N threads"
)
_ADDRESS = re.compile(
    r"ray(?P<server>://[\w.-]+:\d{1,5}|://\[[0-9a-fA-F:]+\]:\d{1,5})?(\?threads=(?P<threads>\d+))?",
    re.ASCII,
)
MOST_THREADS = 1024


@dataclass(frozen=True)
class RayAddress:
    """Where a Ray cluster is, and how much of it a worker gets.

    Attributes:
        server: the cluster's client server, `ray://HOST:PORT`; None means the cluster that
            RAY_ADDRESS names, or else one that is started on this machine.
        threads: the processors of a worker, which computes on as many threads.
    """

    server: str | None = None
    threads: int = 1

    @classmethod
    def parse(cls, text: str) -> RayAddress:
        """Return the parsed address.

        Raises:
            InputError: if it is not `ray` or `ray://HOST:PORT`.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise InputError(f"{text!r} is no place to run jobs: {FORMS}")
        threads = int(match["threads"] or 1)
        if not 1 <= threads <= MOST_THREADS:
            raise InputError(f"{text!r} asks for {threads} threads: use 1 to {MOST_THREADS}")
        server = match["server"]
        return cls(None if server is None else f"ray{server}", threads)
