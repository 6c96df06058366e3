"""Files that can be made again: in one folder, bounded, and checked whenever they are read.

`TASKBANK_CACHE` in the environment names the folder, else it is `~/.cache/taskbank`. It has the
parts `tokens` (of texts) and `states` (of the layers below adapters), which together take up to
`TASKBANK_CACHE_GIB` (10), and `checkpoints` (of trainings that have not ended). A file of the first
two is named by the digest of everything that decides its content, and by that of the content: one
that was cut or changed is noticed and made again. It is moved to its place when it is whole, so
that any number of processes may share the folder. A folder that cannot be written to, or is full,
costs time and a warning, never a result.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from taskbank.errors import InputError

CACHE = "TASKBANK_CACHE"
LIMIT = "TASKBANK_CACHE_GIB"
DEFAULT_LIMIT = 10.0
BOUNDED = ("tokens", "states")
PARTS = (*BOUNDED, "checkpoints")
UNFINISHED = ".unfinished"
ABANDONED = 24 * 3600  # seconds after which a file that is not finished never will be

_UNWRITABLE: set[Path] = set()  # folders that were said not to be


@dataclass(frozen=True)
class Contents:
    """What a part of the cache holds.

    Attributes:
        part: its name.
        files: how many.
        bytes: of all of them.
    """

    part: str
    files: int
    bytes: int


def cache_folder() -> Path:
    """Return where taskbank keeps what can be made again.

    Raises:
        InputError: if there is no home folder, and no other was named.
    """
    given = os.environ.get(CACHE)
    if given:
        return Path(given)
    try:
        return Path.home() / ".cache" / "taskbank"
    except RuntimeError:
        raise InputError(
            f"there is no home folder for the cache: name a folder in {CACHE} in the environment"
        ) from None


def limit() -> int:
    """Return how many bytes tokens and states may take together.

    Raises:
        InputError: if the environment gives no number.
    """
    given = os.environ.get(LIMIT) or str(DEFAULT_LIMIT)
    try:
        gib = float(given)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < 2**30:
        raise InputError(
            f"{LIMIT} is {given!r}: write a number of GiB, such as 10; 0 keeps nothing"
        )
    return int(gib * 2**30)


def find(part: str, key: str) -> Path | None:
    """Return a file that was stored, if it is there and as it was written.

    Args:
        part: of the cache.
        key: the digest of what decides the content.
    """
    for path in _files(cache_folder() / part, f"{_plain(key)}-*"):
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if path.name.endswith(f"-{digest}"):
                with suppress(OSError):  # the folder may be another's, to read only
                    os.utime(path)  # what was used last goes last
                return path
        except OSError:  # it has just gone
            continue
        warnings.warn(f"{path} is damaged: it is made again", stacklevel=3)
        with suppress(OSError):
            path.unlink()
    return None


def store(part: str, key: str, size: int, chunks: Iterable[bytes | memoryview]) -> Path | None:
    """Store a file, and remove what was not used for longest where there is no room.

    Args:
        part: of the cache.
        key: the digest of what decides the content.
        size: of the content in bytes.
        chunks: the content.

    Returns:
        where it is; none if it cannot be kept, which is a warning unless it is too large.

    Raises:
        InputError: if the bound in the environment is no number.
    """
    bound = limit()
    if size > bound:
        return None
    folder = cache_folder() / part
    unfinished = folder / f"{uuid4().hex}{UNFINISHED}"
    hashed = hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(bound - size)
        with unfinished.open("xb") as file:
            for chunk in chunks:
                hashed.update(chunk)
                file.write(chunk)
        path = folder / f"{_plain(key)}-{hashed.hexdigest()}"
        unfinished.replace(path)
    except OSError as error:
        say_unwritable(folder, error, "nothing is kept for the next time")
        return None
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return path


def say_unwritable(folder: Path, error: OSError, consequence: str) -> None:
    """Warn, once a folder, that it cannot be written to.

    Args:
        folder: of the cache.
        error: what happened.
        consequence: of it.
    """
    if folder not in _UNWRITABLE:
        _UNWRITABLE.add(folder)
        warnings.warn(
            f"{consequence}: {folder} cannot be written to ({error.strerror}); name another "
            f"folder in {CACHE}",
            stacklevel=3,
        )


def contents() -> list[Contents]:
    """Return what each part holds."""
    found = []
    for part in PARTS:
        sizes = [size for _, size, _ in _aged(part)]
        found.append(Contents(part, len(sizes), sum(sizes)))
    return found


def clear(parts: Iterable[str]) -> list[Contents]:
    """Remove every file of some parts, and return what was removed.

    Args:
        parts: names.

    Raises:
        InputError: if a file cannot be removed.
    """
    removed = []
    for part in parts:
        sizes = []
        for _, size, path in _aged(part):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise InputError(f"{path} cannot be removed: {error.strerror}") from None
            sizes.append(size)
        removed.append(Contents(part, len(sizes), sum(sizes)))
    return removed


def _make_room(bound: int) -> None:
    """Remove what was not used for longest until no more than some bytes are left."""
    files = sorted(one for part in BOUNDED for one in _aged(part))
    total = sum(size for _, size, _ in files)
    for used, size, path in files:
        unfinished = path.name.endswith(UNFINISHED)  # another process may be writing it
        if time.time() - used > ABANDONED if unfinished else total > bound:
            with suppress(OSError):  # whoever reads it goes on reading
                path.unlink()
            total -= size


def _aged(part: str) -> Iterator[tuple[float, int, Path]]:
    """Give when each file of a part was last used, its size, and where it is."""
    for path in _files(cache_folder() / part, "*"):
        with suppress(OSError):  # another process has removed it
            found = path.stat()
            yield found.st_mtime, found.st_size, path


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return [path for path in folder.glob(pattern) if path.is_file()]
    except OSError:
        return []


def _plain(digest: str) -> str:
    return digest.removeprefix("sha256:")
