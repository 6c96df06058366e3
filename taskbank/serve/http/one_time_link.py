"""The link that opens a server's pages to one browser: it works once, and nothing else opens them.

It stands in the place of the keys of clients: no key opens the API, and only the session that began
with the link opens pages. So nobody else who has an account on this machine can read the bank.
"""

from __future__ import annotations

import hmac
import secrets
from threading import Lock

from taskbank.runtime.clock import now
from taskbank.serve.http.keys import Key, hash_of

CLIENT = "this browser"


class OneTimeLink:
    """The link of one server. It is thread-safe.

    Attributes:
        token: what makes the link secret; 32 random bytes.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._key = Key(CLIENT, "read", hash_of(self.token), now())
        self._used = False
        self._lock = Lock()

    def exchange(self, token: str) -> Key | None:
        """Return the key that a session begins with, or None if the token is wrong or was used."""
        with self._lock:
            if self._used or not hmac.compare_digest(hash_of(token), self._key.sha256):
                return None
            self._used = True
        return self._key

    def find(self, secret: str) -> None:
        """Return None: no key opens anything."""

    def has(self, key: Key) -> bool:
        """Return whether a session's key is the link's."""
        return key == self._key

    def refresh(self) -> None:
        """Do nothing: there is no file of keys that could change."""
