"""Repeats what a store failed to do for a reason that passes: throttling, a lost connection.

Every driver reports failures by exceptions of its own, and this module imports none of them. It
looks at the HTTP status that an exception carries, and at the names of its classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Any, TypeVar

ATTEMPTS = 5
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds; the bound of each wait is twice the one before
GIVE_UP = 20.0  # seconds after which nothing is repeated: some drivers repeat requests themselves
# 409 is a conflict with another request that is under way.
PASSING_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
PASSING_ERRORS = frozenset(
    {
        "ConnectionError",  # of Python, requests and botocore
        "TimeoutError",
        "Timeout",  # requests
        "HTTPClientError",  # botocore: closed connections and timeouts
        "IncompleteRead",
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",  # aiohttp: the body was cut
        "TransportError",  # google-auth and httpx
        "ServiceRequestError",  # azure-core
        "ServiceResponseError",
        "SSHException",  # paramiko
    }
)
CHECKSUM_ERRORS = frozenset({"ChecksumError", "FlexibleChecksumError"})  # gcsfs and botocore
Returned = TypeVar("Returned")
_random = SystemRandom()  # seeded generators are for what is computed


def repeated(operation: Callable[[], Returned]) -> Returned:
    """Return what an operation returns, after further attempts if a failure may pass.

    The waits have full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS, 2015), so that
    many clients of a store that was overloaded do not all come back at once.

    Args:
        operation: what to do; doing it twice must be the same as doing it once.
    """
    end, bound = time.monotonic() + GIVE_UP, FIRST_WAIT
    for _ in range(ATTEMPTS - 1):
        try:
            return operation()
        except Exception as error:
            if not may_pass(error) or time.monotonic() > end:
                raise
        time.sleep(_random.uniform(0, bound))
        bound = min(2 * bound, LONGEST_WAIT)
    return operation()


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed a little later."""
    for link in _causes(error):
        status = _status(link)
        if status is not None:
            return status in PASSING_STATUSES
        if _is_one_of(link, PASSING_ERRORS | CHECKSUM_ERRORS):
            return True
    return False


def is_damage(error: BaseException) -> bool:
    """Return whether a driver found that bytes differ from the checksum that the store has."""
    return any(_is_one_of(link, CHECKSUM_ERRORS) for link in _causes(error))


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an exception or one of its causes carries; None without one."""
    found = (_status(link) for link in _causes(error))
    return next((status for status in found if status is not None), None)


def _status(link: BaseException) -> int | None:
    response = getattr(link, "response", None)
    found: list[Any] = [
        getattr(link, "status", None),  # aiohttp
        getattr(link, "status_code", None),  # azure-core
        getattr(link, "code", None),  # gcsfs
        getattr(response, "status_code", None),  # requests, httpx
    ]
    if isinstance(response, dict):  # botocore
        found.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    return next((int(status) for status in found if str(status).isdecimal()), None)


def _is_one_of(link: BaseException, names: frozenset[str]) -> bool:
    return any(parent.__name__ in names for parent in type(link).mro())


def _causes(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
