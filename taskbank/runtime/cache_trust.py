"""Decides whether a folder of the cache can be trusted, and signs what is kept in it.

What is read from the cache is trained with and recorded, so it must be the user's own. As with the
keys of ssh, a folder counts only if it belongs to the user and nobody else can write to it. Each
file is signed with a secret that only the user can read, so that a file from elsewhere is not
taken for the user's, even if its name and its digest are right.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import warnings
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from taskbank.runtime.regular_file import read_regular

STATE_HOME = "XDG_STATE_HOME"
KEY_BYTES = 32
SIGNATURE_LENGTH = 64  # hex digits

_WARNED: set[str] = set()  # problems that were warned about


def signer(folder: Path, key: str) -> hmac.HMAC | None:
    """Return the start of a file's signature, to be updated with the content.

    Args:
        folder: a part of the cache.
        key: the name of the file within the part, without the signature.

    Returns:
        None, with a warning once, if the folder or the secret is not the user's alone.
    """
    problem = distrust(folder.parent) or distrust(folder, part=True)
    secret = None
    if problem is None:
        secret, problem = _secret()
    if secret is None:
        warn_once(f"nothing is cached: {problem}")
        return None
    return hmac.new(secret, f"{folder.name}/{key}/".encode(), "sha256")


def distrust(folder: Path, *, part: bool = False) -> str | None:
    """Return why a folder is not trusted, and what to do; None if it is, or does not exist.

    Args:
        folder: the cache's folder or one of its parts.
        part: whether it is a part, which must not be a link.
    """
    if part and folder.is_symlink():
        return f"{folder} is a link: delete it, and a folder takes its place"
    try:
        status = folder.stat()
    except OSError:
        return None
    return _not_private(folder, status, stat.S_IWGRP | stat.S_IWOTH, "written to", "go-w")


def make_private(folder: Path) -> None:
    """Create a folder, unless it exists, that only the user can read and write.

    Raises:
        OSError: if it cannot be created.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def warn_once(message: str) -> None:
    """Warn, the first time that there is this message."""
    if message not in _WARNED:
        _WARNED.add(message)
        warnings.warn(message, stacklevel=4)


def key_file() -> Path:
    """Return the file of the user's secret.

    Raises:
        RuntimeError: if there is no home folder.
    """
    state = os.environ.get(STATE_HOME)
    home = Path(state) if state else Path.home() / ".local" / "state"
    return home / "taskbank" / "cache-key"


def _secret() -> tuple[bytes | None, str | None]:
    """Return the user's secret, made at the first use; or None and what is wrong."""
    try:
        path = key_file()
        if not path.exists():
            _make_key(path)
        problem = _not_private(path, path.stat(), 0o077, "read", "go=")
        if problem is not None:
            return None, problem
        secret = read_regular(path, KEY_BYTES)
    except RuntimeError:
        return None, f"there is no home folder for its key: name a folder in {STATE_HOME}"
    except OSError as error:
        return None, f"its key {path} cannot be read or written ({error.strerror})"
    if len(secret) != KEY_BYTES:
        return None, f"its key {path} is damaged: delete it, and what is cached is made again"
    return secret, None


def _make_key(path: Path) -> None:
    make_private(path.parent)
    unfinished = path.with_name(f"{path.name}.{uuid4().hex}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):  # another process has just made one
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink()


def _not_private(path: Path, status: os.stat_result, bits: int, verb: str, mode: str) -> str | None:
    if not hasattr(os, "geteuid"):  # Windows has neither owners nor modes of this kind
        return None
    if status.st_uid != os.geteuid():
        return f"{path} belongs to another user: name a folder of your own"
    if status.st_mode & bits:
        return f"{path} can be {verb} by other users: run chmod {mode} {path}"
    return None
