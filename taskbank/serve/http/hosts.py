"""The host names that requests may be for: no page elsewhere reaches a server by another name.

A browser lets a page of `evil.example` send requests to `evil.example`. If that name is then made
to point at this machine (DNS rebinding), the page reaches a server here, and reads its answers. The
`Host` header still names `evil.example`, so a server that knows its names refuses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from taskbank.checks import check_text
from taskbank.errors import InputError
from taskbank.serve.http.problems import Problem

ANY = "*"
NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
SHOWN = 80  # characters of a refused name


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a name or an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(bound: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the names that requests may be for; empty means any.

    Args:
        bound: the name or address that the server listens on.
        given: names that the user allows too; `*` allows any.

    Raises:
        InputError: if one is not the name of a host.
    """
    for name in given:
        if name != ANY and not _is_host(check_text(name, "--allowed-host")):
            raise InputError(
                f"--allowed-host {name!r} is not the name of a host: write it without scheme, port "
                "and path, such as bank.example.org, or * for any"
            )
    # On another interface clients need keys, which a page elsewhere does not have, and a session's
    # cookie is not sent for its name. Which names lead here only proxies and resolvers know, so
    # without --allowed-host none is refused.
    if ANY in given or (not given and not is_loopback(bound)):
        return ()
    return tuple(dict.fromkeys(_plain(name) for name in (bound, *given)))


def check_host(header: str | None, allowed: Sequence[str]) -> Problem | None:
    """Return why a request is refused for its `Host` header; None if it is not.

    Args:
        header: the header; None if the request has none.
        allowed: the names that requests may be for, besides those of the loopback; empty means any.
    """
    if not allowed:
        return None
    name = _plain(re.sub(r":\d*$", "", header or ""))
    if name in allowed or is_loopback(name):
        return None
    return Problem(
        421,
        "host",
        f"this server does not answer for the host {(header or '')[:SHOWN]!r}: if it is one of "
        "its names, start it with --allowed-host NAME",
    )


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _is_host(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return NAME.fullmatch(name) is not None
