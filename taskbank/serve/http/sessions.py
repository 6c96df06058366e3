"""Sessions of people in browsers: a cookie in place of a key, and tokens against forged forms.

Sessions are in memory only: they end with the server, and each server has its own. The cookie is
32 random bytes; what is kept is its hash, so that nobody who sees the memory can use it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from taskbank.serve.http.keys import Key
from taskbank.serve.http.problems import Problem

SECONDS = 12 * 3600  # a working day
MOST = 10_000  # sessions; the oldest are ended


@dataclass(frozen=True)
class Session:
    """A session: the key that it stands for, and when it ends on the server's clock."""

    key: Key
    until: float


class Sessions:
    """The sessions of one server. It is thread-safe."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._secret = secrets.token_bytes(32)
        self._lock = Lock()

    def begin(self, key: Key) -> str:
        """Begin a session for a key; return its cookie."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[_hash(cookie)] = Session(key, time.monotonic() + SECONDS)
            while len(self._sessions) > MOST:
                self._sessions.popitem(last=False)
        return cookie

    def find(self, cookie: str) -> Key | None:
        """Return the key that a cookie stands for, or None if its session has ended."""
        with self._lock:
            session = self._sessions.get(_hash(cookie))
            if session is None:
                return None
            if session.until <= time.monotonic():
                del self._sessions[_hash(cookie)]
                return None
        return session.key

    def end(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_hash(cookie), None)

    def token(self, cookie: str) -> str:
        """Return a token for a form on a page that was sent to the holder of a cookie.

        It differs each time, so that the size of a compressed page tells nothing about it.
        """
        salt = secrets.token_hex(16)
        return f"{salt}.{self._signed(salt, cookie)}"

    def check_form(self, headers: Headers, cookie: str, token: str) -> None:
        """Raise unless a form was sent from a page of this server.

        Args:
            headers: the headers of the request.
            cookie: the cookie of the request.
            token: the token in the form.

        Raises:
            Problem: if another site sent it, or the page is too old.
        """
        check_same_origin(headers)
        salt, _, signed = token.partition(".")
        if not cookie or not hmac.compare_digest(
            signed.encode("utf-8", "replace"), self._signed(salt, cookie).encode()
        ):
            raise Problem(
                403, "form", "this form is too old, or cookies are off: go back, reload, try again"
            )

    def _signed(self, salt: str, cookie: str) -> str:
        text = f"{salt} {cookie}".encode("utf-8", "replace")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def check_same_origin(headers: Headers) -> None:
    """Raise unless a browser says that a page of this server sent the request.

    Raises:
        Problem: if another site sent it, or the browser does not say.
    """
    site = headers.get("sec-fetch-site")
    origin = urlsplit(headers.get("origin", "")).netloc
    same = site == "same-origin" if site is not None else False
    if site is None and origin:  # sent over plain HTTP by name, or by an older browser
        same = origin.lower() == headers.get("host", "").lower()
    if not same:
        raise Problem(403, "origin", "only a page of this server may send this form")


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
