"""Measures a command as a process: wall time, processor time and peak memory.

The kernel reports a child's peak memory as no less than its parent's at the fork. So a small
Python process, with next to nothing imported, starts the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

STARTER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "code": done.returncode,
    "seconds": seconds,
    "processor": used.ru_utime + used.ru_stime,
    "memory": used.ru_maxrss / 1024,
}))
"""


def taskbank_command(url: str, *arguments: str) -> list[str]:
    """Return the argument vector of a taskbank command.

    Args:
        url: of the bank.
        arguments: the command's name, then its arguments.
    """
    return [sys.executable, "-m", "taskbank", "--bank", url, *arguments]


def process_environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment variables for a measured process.

    Compiled bytecode is cached, as for a user, whatever this process was started with.

    Args:
        threads: number of threads (default: the libraries' own).
    """
    found = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    if threads is not None:
        found |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return found


def run_measured(command: Sequence[str], threads: int | None = None) -> dict[str, Any]:
    """Run a command, discard its output, and return its cost.

    Args:
        command: argument vector; the first element is the path of a program.
        threads: number of threads (default: the libraries' own).

    Returns:
        `seconds` (wall time), `processor` (seconds summed over cores), `memory` (peak, MiB).

    Raises:
        SystemExit: if the command fails, with the end of its error output.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTER, *command],
        check=True, capture_output=True, text=True, env=process_environment(threads),
    )  # fmt: skip
    cost: dict[str, Any] = json.loads(done.stdout)
    if cost.pop("code") != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return cost
