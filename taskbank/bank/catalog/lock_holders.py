"""Finds the processes that hold the write lock of a SQLite file, where Linux lists locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from taskbank.redaction import redacted

LOCKS = Path("/proc/locks")
SHOWN = 100  # characters of a command line


def lock_holders(files: tuple[Path, ...]) -> list[str]:
    """Return the number and the command of each process with a write lock on one of some files.

    Returns:
        an empty list where this is unknown: on other systems, for processes of other machines, and
        for processes that a container does not show.
    """
    try:
        inodes = {str(file.stat().st_ino) for file in files if file.exists()}
        locks = LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
    return sorted({_describe(process) for process in _writers(locks, inodes)})


def _writers(locks: list[str], inodes: set[str]) -> Iterator[int]:
    # 1: POSIX  ADVISORY  WRITE 11070 fe:00:2302756 120 120
    for line in locks:
        fields = line.split()
        if "WRITE" not in fields or "->" in fields:  # the second waits for a lock
            continue
        process, place = fields[fields.index("WRITE") + 1 :][:2]
        if place.rpartition(":")[2] in inodes and int(process) > 0:
            yield int(process)


def _describe(process: int) -> str:
    if process == os.getpid():
        return f"process {process}, which is this one"
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return f"process {process}"
    command = redacted(" ".join(words).strip())
    command = "".join(character if character.isprintable() else "?" for character in command)
    return f"process {process}: {command[:SHOWN]}{'…' if len(command) > SHOWN else ''}"
