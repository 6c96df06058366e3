"""Keys of clients: a file holds their hashes, never the keys.

A key is 32 random bytes, so a plain SHA-256 of it can neither be guessed nor reversed. The file
has one JSON object per line: `name`, `scope` (`read` or `admin`), `sha256` and `created_at`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from taskbank.checks import check_name
from taskbank.errors import ConflictError, InputError, NotFoundError
from taskbank.runtime.clock import now
from taskbank.runtime.files import write_file

Scope = Literal["read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "tb_"  # by which scanners for secrets can recognise a key


@dataclass(frozen=True)
class Key:
    """A client's key, without the key itself.

    Attributes:
        name: the client's name, which the log shows.
        scope: `read` to predict and to look, `admin` to move aliases too.
        sha256: the hash of the key.
        created_at: when it was made, ISO 8601 in UTC.
    """

    name: str
    scope: Scope
    sha256: str
    created_at: str


class Keys:
    """The keys that a server accepts: those that are in a file now.

    Args:
        path: the file.

    Raises:
        InputError: if the file cannot be read, or has no keys.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_hash: dict[str, Key] = {}
        self._read: object = None
        self.refresh()
        if not self._by_hash:
            raise InputError(
                f"{path} has no keys: make one with taskbank keys add NAME --keys {path}"
            )

    def refresh(self) -> None:
        """Read the file again if it has changed.

        Raises:
            InputError: if it cannot be read; the keys stay as they were.
        """
        try:
            found = self.path.stat()
        except OSError:
            found = None
        state = found and (found.st_mtime_ns, found.st_size, found.st_ino)
        if state is None or state != self._read:
            self._by_hash = {key.sha256: key for key in read_keys(self.path)}
            self._read = state

    def find(self, secret: str) -> Key | None:
        """Return the key whose secret a client has sent, or None."""
        # Who times this lookup learns about a hash, which no key can be made from.
        return self._by_hash.get(hash_of(secret))

    def has(self, key: Key) -> bool:
        """Return whether a key that was accepted before still is."""
        return self._by_hash.get(key.sha256) == key


def hash_of(secret: str) -> str:
    """Return the hash by which a key is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(path: Path) -> list[Key]:
    """Return the keys in a file.

    Raises:
        InputError: if the file cannot be read, or a line is not a key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(
            f"the keys in {path} cannot be read: {reason}; make the file with "
            f"taskbank keys add NAME --keys {path}"
        ) from None
    return [_key(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def add_key(path: Path, name: str, scope: Scope) -> str:
    """Make a key, add its hash to a file, and return the key, which is stored nowhere.

    Args:
        path: the file; it is created if it does not exist.
        name: the client's name.
        scope: what the key allows.

    Raises:
        ConflictError: if the file has a key of that name.
        InputError: if the name is invalid, or the file cannot be read or written.
    """
    check_name(name, "key name")
    keys = read_keys(path) if path.exists() else []
    if any(key.name == name for key in keys):
        raise ConflictError(
            f"{path} has a key {name!r} already: choose another name, or remove it first with "
            f"taskbank keys remove {name} --keys {path}"
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    _write(path, [*keys, Key(name, scope, hash_of(secret), now())])
    return secret


def remove_key(path: Path, name: str) -> None:
    """Remove a key from a file; running servers refuse it a second later.

    Raises:
        NotFoundError: if the file has no such key.
        InputError: if the file cannot be read or written.
    """
    keys = read_keys(path)
    kept = [key for key in keys if key.name != name]
    if len(kept) == len(keys):
        names = ", ".join(key.name for key in keys) or "none"
        raise NotFoundError(f"{path} has no key {name!r}: it has {names}")
    _write(path, kept)


def _write(path: Path, keys: Sequence[Key]) -> None:
    lines = [json.dumps(asdict(key)) + "\n" for key in keys]
    write_file(path, "".join(lines).encode())


def _key(path: Path, number: int, line: str) -> Key:
    try:
        values = json.loads(line)
        key = Key(*(values[name] for name in ("name", "scope", "sha256", "created_at")))
        if key.scope not in SCOPES or len(key.sha256) != 64 or not isinstance(key.name, str):
            raise ValueError
        int(key.sha256, 16)
        check_name(key.name, "key name")
    except (ValueError, TypeError, KeyError, RecursionError, InputError):
        raise InputError(
            f"line {number} of {path} is not a key: make keys with taskbank keys add NAME "
            f"--keys {path}"
        ) from None
    return key
