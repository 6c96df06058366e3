"""Reads files that others made: only regular ones, and never more than a number of bytes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, limit: int | None = None, first: int | None = None) -> bytes:
    """Return the content of a regular file; never wait for a pipe, and never read a device.

    Args:
        path: the file; a link to a regular file counts as one.
        limit: the largest accepted size in bytes; None means any.
        first: the number of bytes to read; None means all.

    Raises:
        OSError: if there is no regular file, it is too large, or it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if limit is not None and status.st_size > limit:
            message = f"its {status.st_size:,} bytes are more than the maximum of {limit:,}"
            raise OSError(errno.EFBIG, message, str(path))
        wanted = limit if first is None else first
        return file.read() if wanted is None else file.read(wanted)
