"""A disk cache of bounded size. Files are verified on read; anything missing is recomputed.

The environment variable `TASKBANK_CACHE` names the folder; the default is `~/.cache/taskbank`. The
parts `tokens` (of texts) and `states` (of the layers below adapters) together take up to
`TASKBANK_CACHE_GIB` (10); the part `checkpoints` holds unfinished trainings. The name of a file of
the first two parts has the digest of everything that determines its content, and a signature of the
content, so that a file that is truncated, altered or another user's is detected and recomputed. A
folder that other users can write to is not used (see `cache_trust`). A file is moved to its
place once it is complete, so that any number of processes may share the folder. A folder that is
full or cannot be written to costs time and a warning, never a result.
"""

from __future__ import annotations

import hmac
import os
import stat
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from taskbank.errors import InputError
from taskbank.runtime.cache_trust import make_private, signer

CACHE = "TASKBANK_CACHE"
LIMIT = "TASKBANK_CACHE_GIB"
DEFAULT_LIMIT = 10.0
BOUNDED = ("tokens", "states")
PARTS = (*BOUNDED, "checkpoints")
UNFINISHED = ".unfinished"
CHUNK = 1 << 20  # bytes that are read at once
ABANDONED_AFTER = 24 * 3600  # seconds after which an unfinished file counts as abandoned

_UNWRITABLE: set[Path] = set()  # folders that were warned about


@dataclass(frozen=True)
class Contents:
    """The contents of a part of the cache.

    Attributes:
        part: the part's name.
        files: number of files.
        bytes: total size of the files.
    """

    part: str
    files: int
    bytes: int


def cache_folder() -> Path:
    """Return the folder of the cache.

    Raises:
        InputError: if there is no home folder, and the environment names no other.
    """
    value = os.environ.get(CACHE)
    if value:
        return Path(value)
    try:
        return Path.home() / ".cache" / "taskbank"
    except RuntimeError:
        raise InputError(
            f"there is no home folder for the cache: name a folder in {CACHE} in the environment"
        ) from None


def size_limit() -> int:
    """Return the maximum size of tokens and states together, in bytes.

    Raises:
        InputError: if the value in the environment is not a number.
    """
    value = os.environ.get(LIMIT) or str(DEFAULT_LIMIT)
    try:
        gib = float(value)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < 2**30:
        raise InputError(
            f"{LIMIT} is {value!r}: write a number of GiB, such as 10; 0 keeps nothing"
        )
    return int(gib * 2**30)


def find(part: str, key: str) -> Path | None:
    """Return the path of a stored file if its content has the signature of its name, else None.

    Args:
        part: the part of the cache.
        key: the digest of everything that determines the content.
    """
    folder, name = cache_folder() / part, _strip_prefix(key)
    for path in _files(folder, f"{name}-*"):
        signature = signer(folder, name)
        if signature is None:
            return None
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    signature.update(chunk)
            if hmac.compare_digest(path.name, f"{name}-{signature.hexdigest()}"):
                with suppress(OSError):  # the folder may be another user's and read-only
                    os.utime(path)  # marks the file as recently used
                return path
        except OSError:  # another process has just removed it
            continue
        warnings.warn(
            f"{path} is damaged and will be recomputed, or another user wrote it", stacklevel=3
        )
        with suppress(OSError):
            path.unlink()
    return None


def store(part: str, key: str, size: int, chunks: Iterable[bytes | memoryview]) -> Path | None:
    """Store a file, removing the least recently used files if there is no room.

    Args:
        part: the part of the cache.
        key: the digest of everything that determines the content.
        size: the content's size in bytes.
        chunks: the content.

    Returns:
        the file's path; None if it cannot be stored, with a warning unless it is too large.

    Raises:
        InputError: if the bound in the environment is not a number.
    """
    bound = size_limit()
    if size > bound:
        return None
    folder, name = cache_folder() / part, _strip_prefix(key)
    unfinished = folder / f"{uuid4().hex}{UNFINISHED}"
    try:
        make_private(folder.parent)
        make_private(folder)
        signature = signer(folder, name)
        if signature is None:
            return None
        _make_room(bound - size)
        with unfinished.open("xb") as file:
            for chunk in chunks:
                signature.update(chunk)
                file.write(chunk)
        path = folder / f"{name}-{signature.hexdigest()}"
        unfinished.replace(path)
    except OSError as error:
        warn_unwritable(folder, error, "nothing is cached")
        return None
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return path


def warn_unwritable(folder: Path, error: OSError, consequence: str) -> None:
    """Warn, once per folder, that it cannot be written to.

    Args:
        folder: a folder of the cache.
        error: the error of the failed write.
        consequence: the consequence, for the warning's first words.
    """
    if folder not in _UNWRITABLE:
        _UNWRITABLE.add(folder)
        warnings.warn(
            f"{consequence}: {folder} cannot be written to ({error.strerror}); name another "
            f"folder in {CACHE}",
            stacklevel=3,
        )


def contents() -> list[Contents]:
    """Return the contents of each part."""
    contents_by_part = []
    for part in PARTS:
        sizes = [size for _, size, _ in _files_by_use(part)]
        contents_by_part.append(Contents(part, len(sizes), sum(sizes)))
    return contents_by_part


def clear(parts: Iterable[str]) -> list[Contents]:
    """Remove every file of some parts, and return the removed contents.

    Args:
        parts: names of the parts.

    Raises:
        InputError: if a file cannot be removed, or if a part is a link to another folder.
    """
    removed = []
    for part in parts:
        if (cache_folder() / part).is_symlink():
            raise InputError(
                f"{cache_folder() / part} is a link, and nothing is removed through a link: "
                "delete the link"
            )
        sizes = []
        for _, size, path in _files_by_use(part):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise InputError(f"{path} cannot be removed: {error.strerror}") from None
            sizes.append(size)
        removed.append(Contents(part, len(sizes), sum(sizes)))
    return removed


def _make_room(bound: int) -> None:
    """Remove the least recently used files until the rest is within a size in bytes."""
    files = sorted(file for part in BOUNDED for file in _files_by_use(part))
    total = sum(size for _, size, _ in files)
    for used, size, path in files:
        unfinished = path.name.endswith(UNFINISHED)  # another process may be writing it
        if time.time() - used > ABANDONED_AFTER if unfinished else total > bound:
            with suppress(OSError):  # processes that read the file can continue
                path.unlink()
            total -= size


def _files_by_use(part: str) -> Iterator[tuple[float, int, Path]]:
    """Yield each file's time of last use, its size and its path."""
    for path in _files(cache_folder() / part, "*"):
        with suppress(OSError):  # another process has removed it
            status = path.lstat()
            yield status.st_mtime, status.st_size, path


def _files(folder: Path, pattern: str) -> list[Path]:
    if folder.is_symlink():
        return []
    try:
        return [path for path in folder.glob(pattern) if stat.S_ISREG(path.lstat().st_mode)]
    except OSError:
        return []


def _strip_prefix(digest: str) -> str:
    return digest.removeprefix("sha256:")
