"""Stores something although the database server or the blob store is away for a while."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import TypeVar

from taskbank.errors import ResourceError, UnreachableError

PATIENCE = 120.0  # seconds after which a server that is away is given up
FIRST_WAIT, LONGEST_WAIT = 1.0, 15.0  # seconds between attempts; each wait is twice the one before
Stored = TypeVar("Stored")


def store_patiently(
    store: Callable[[], Stored], find: Callable[[], Stored | None], advice: str
) -> Stored:
    """Store something, and try again for some time while a server cannot be reached.

    If the connection is lost during a commit, nobody has heard whether it went through. So
    before every further attempt it is looked up, and nothing is stored twice.

    Args:
        store: stores it, whole or not at all, and returns what was stored.
        find: returns what an earlier attempt has stored; None if it has stored nothing.
        advice: what to do if the server stays away, for the error message.

    Raises:
        UnreachableError: if the server stays away.
        ResourceError: if waiting does not help, as when the store refuses the credentials.
    """
    try:
        return _store(store, find)
    except ResourceError as error:
        raise type(error)(f"{error}; {advice}") from None


def _store(store: Callable[[], Stored], find: Callable[[], Stored | None]) -> Stored:
    deadline, wait = time.monotonic() + PATIENCE, FIRST_WAIT
    try:
        return store()
    except UnreachableError as error:
        lost = error
        warnings.warn(f"{error}; trying again for {PATIENCE:.0f} seconds", stacklevel=3)
    while time.monotonic() + wait < deadline:
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
        try:
            found = find()
            if found is not None:
                warnings.warn("the connection was lost after it was recorded", stacklevel=3)
                return found
            return store()
        except UnreachableError as error:
            lost = error
    raise lost
