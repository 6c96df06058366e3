"""Processes of their own, forked from one that has imported everything, which takes seconds once.

A process gets a bank's URL or a folder and not what is open here. It really is one of its own: it
opens its own connections, and can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.forkserver import ensure_running
from typing import Any

import pytest

from taskbank.bank.bank import Bank
from tests.helpers.adapters import new_adapter


@cache
def _context() -> ForkServerContext:
    """Start the process that all others are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.helpers.processes", "taskbank.verify.observer"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # it imports what is imported here
        ensure_running()
    return context


def start(work: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process that does some work: a function of a module, as its name is handed over."""
    process = _context().Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def ended(process: ForkServerProcess) -> int | None:
    """Return the exit code of a process once it has ended: minus the signal that killed it."""
    process.join(timeout=60)
    return process.exitcode


class Writer:
    """A process that puts versions of a task into a bank, and says when each is recorded.

    Args:
        url: the bank's URL.
        task: the task's name.
        count: number of versions.
    """

    def __init__(self, url: str, task: str, count: int) -> None:
        self._said, saying = _context().Pipe(duplex=False)
        self.process = start(_write, url, task, count, saying)
        saying.close()  # so that this end sees the end of the process

    def wait_for_one(self) -> None:
        """Wait until it has recorded another version."""
        self._said.recv_bytes()

    def recorded(self) -> int:
        """Return how many versions it says it has recorded since, once it has ended."""
        count = 0
        while True:
            try:
                self._said.recv_bytes()
            except (EOFError, OSError):  # it ended, or was killed while it said something
                return count
            count += 1


def _write(url: str, task: str, count: int, saying: Connection) -> None:
    with Bank(url) as bank:
        for number in range(count):
            new = new_adapter(task, seed=number, description="x" * 200_000)
            bank.put(new, new_version=True)
            saying.send_bytes(b".")
