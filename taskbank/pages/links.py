"""Addresses of pages and files: as a server answers them, or as files lie beside each other."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Collection
from functools import cache
from importlib import resources
from mimetypes import guess_type
from typing import Protocol
from urllib.parse import quote, urlencode

Value = str | int | None
DIGEST_LENGTH = 16


class Links(Protocol):
    """Makes the links of a page."""

    @property
    def live(self) -> bool:
        """Whether forms and parameters are answered."""

    def has(self, *path: str) -> bool:
        """Return whether there is a page of a path."""

    def page(self, *path: str, **parameters: Value) -> str:
        """Return the link to a page.

        Args:
            path: its path, as `"tasks", "mood@3"`; without one, the first page.
            parameters: what to show of it; those that are None or empty are left out.
        """

    def static(self, name: str) -> str:
        """Return the link to a file in `static/`."""


class ServerLinks:
    """Links to a server.

    Args:
        root: the path below which the server is mounted.
    """

    live = True

    def __init__(self, root: str = "") -> None:
        self.root = root.rstrip("/")

    def has(self, *_path: str) -> bool:
        """Return True: what there is not, the server says."""
        return True

    def page(self, *path: str, **parameters: Value) -> str:
        """Return the link to a page; see `Links`."""
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        query = f"?{urlencode(given)}" if given else ""
        return f"{self.root}/{'/'.join(quote(part, safe='@') for part in path)}{query}"

    def static(self, name: str) -> str:
        """Return the link to a file, which has its digest in its path and so never changes."""
        return f"{self.root}/static/{static_digest(name)}/{name}"


class FileLinks:
    """Links between files of one folder; a file shows a page without parameters but `after`.

    Args:
        here: the path of the page that the links are on.
        made: the paths of all pages; None means that there is every page.
    """

    live = False

    def __init__(
        self, here: tuple[str, ...] = (), made: Collection[tuple[str, ...]] | None = None
    ) -> None:
        self.up = "../" * (len(here) - 1)
        self.made = made

    def has(self, *path: str) -> bool:
        """Return whether there is a page of a path."""
        return self.made is None or path in self.made

    def page(self, *path: str, **parameters: Value) -> str:
        """Return the link to a page; see `Links`."""
        return self.up + quote(file_of(path, parameters.get("after")), safe="@/")

    def static(self, name: str) -> str:
        """Return the link to a file."""
        return f"{self.up}static/{name}"


class LoneLinks:
    """Links of a page that is one file by itself: what it needs is within its addresses."""

    live = False

    def has(self, *_path: str) -> bool:
        """Return False: there is no other page."""
        return False

    def page(self, *_path: str, **_parameters: Value) -> str:
        """Return the link to the page itself."""
        return "#content"

    def static(self, name: str) -> str:
        """Return a file as an address that has all of its bytes."""
        data = b64encode(static_bytes(name)).decode()
        return f"data:{guess_type(name)[0] or 'text/plain'};base64,{data}"


def file_of(path: tuple[str, ...], after: Value = None) -> str:
    """Return the name of the file of a page.

    Args:
        path: the page's path.
        after: where it begins, if it is not the first page of several.
    """
    name = "/".join(path) or "index"
    return f"{name}.html" if after in (None, "") else f"{name}-after-{after}.html"


@cache
def static_bytes(name: str) -> bytes:
    """Return a file in `static/`.

    Raises:
        FileNotFoundError: if there is none.
    """
    parts = name.split("/")
    if not all(part.strip(".") for part in parts):  # a path to elsewhere
        raise FileNotFoundError(name)
    found = resources.files("taskbank.pages").joinpath("static", *parts)
    if not found.is_file():
        raise FileNotFoundError(name)
    return found.read_bytes()


@cache
def static_digest(name: str) -> str:
    """Return the part of a file's digest that is in its link."""
    return hashlib.sha256(static_bytes(name)).hexdigest()[:DIGEST_LENGTH]
