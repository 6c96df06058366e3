"""Addresses of pages and files: as a server answers them, or as files lie beside each other."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Protocol
from urllib.parse import quote, urlencode

Value = str | int | None
DIGEST_LENGTH = 16


class Links(Protocol):
    """Makes the links of a page."""

    @property
    def live(self) -> bool:
        """Whether forms and parameters are answered."""

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

    def page(self, *path: str, **parameters: Value) -> str:
        """Return the link to a page; see `Links`."""
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        query = f"?{urlencode(given)}" if given else ""
        return f"{self.root}/{'/'.join(quote(part, safe='@') for part in path)}{query}"

    def static(self, name: str) -> str:
        """Return the link to a file, which has its digest in its path and so never changes."""
        return f"{self.root}/static/{static_digest(name)}/{name}"


class FileLinks:
    """Links between files of one folder; a file shows a page without parameters.

    Args:
        here: the path of the page that the links are on.
    """

    live = False

    def __init__(self, here: tuple[str, ...] = ()) -> None:
        self.up = "../" * (len(here) - 1)

    def page(self, *path: str, **parameters: Value) -> str:
        """Return the link to a page; see `Links`."""
        return self.up + quote(file_of(path), safe="@/")

    def static(self, name: str) -> str:
        """Return the link to a file."""
        return f"{self.up}static/{name}"


def file_of(path: tuple[str, ...]) -> str:
    """Return the name of the file of a page."""
    return f"{'/'.join(path)}.html" if path else "index.html"


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
