"""Marks in a blob store which banks keep their blobs there, so that none destroys another's.

Each bank has one file at the top of the store, named by its uuid, with the place of the bank. A
copy of a bank has the uuid of the original but is at another place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank.errors import ConflictError, UnreachableError

if TYPE_CHECKING:
    from taskbank.bank.blobs.files import Files

MARK = re.compile(r"taskbank-([0-9a-f-]{36})\.json")


@dataclass(frozen=True)
class Owner:
    """A bank that keeps its blobs in a store.

    Attributes:
        uuid: the bank's uuid, which its copies share.
        home: returns the bank's place, which its copies do not share.
        has_adapters: returns whether the bank has recorded an adapter, and so blobs.
    """

    uuid: str
    home: Callable[[], str]
    has_adapters: Callable[[], bool] = lambda: False

    @property
    def mark(self) -> str:
        """The name of the bank's file in the store."""
        return f"taskbank-{self.uuid}.json"


def sign(files: Files, owner: Owner) -> None:
    """Write a bank's file into a store unless it is there; a copy of the bank changes nothing."""
    if files.read(owner.mark) is None:
        content = {"bank": owner.uuid, "home": owner.home()}
        files.create(owner.mark, (json.dumps(content) + "\n").encode())


def check_there(files: Files, owner: Owner) -> None:
    """Raise if a store that must hold something is empty, as the folder of a missing mount is.

    Raises:
        UnreachableError: naming the store.
    """
    if files.is_empty() and owner.has_adapters():
        raise UnreachableError(
            f"the blob store {files.place} is empty or is not there, but the bank has blobs in it: "
            "mount it, or restore it from a copy"
        )


def homes(files: Files) -> dict[str, str]:
    """Return the places of the banks that keep their blobs in a store, by name of their file."""
    marks = [file.name for file in files.walk() if MARK.fullmatch(file.name)]
    return {name: _home(files.read(name)) for name in marks}


def check_unused(files: Files, besides: str = "") -> None:
    """Raise if a store already belongs to a bank.

    Args:
        files: the store.
        besides: the name of a mark that is allowed.

    Raises:
        ConflictError: naming the bank.
    """
    for name, home in homes(files).items():
        if name == besides:
            continue
        raise ConflictError(
            f"{files.place} holds the blobs of the bank {home}, and a store belongs to one bank: "
            f"name another with --blobs, or delete {name} there if that bank no longer exists"
        )


def check_sole_owner(files: Files, owner: Owner) -> None:
    """Raise unless a bank alone keeps its blobs in a store.

    Raises:
        ConflictError: naming the other bank, or the other place of the bank.
    """
    for name, home in homes(files).items():
        if name == owner.mark and home == owner.home():
            continue
        which = (
            f"the bank {home}, of which this one is a copy, or from where it was moved"
            if name == owner.mark
            else f"another bank, {home}"
        )
        raise ConflictError(
            f"{files.place} holds the blobs of {which}: nothing was destroyed, as it may need "
            f"them. If no other bank uses this store, delete {name} there and run gc again"
        )


def _home(content: bytes | None) -> str:
    try:
        return str(json.loads(content or b"")["home"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "(unknown: its file in the store is damaged)"
