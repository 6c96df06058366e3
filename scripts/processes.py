"""What a command costs as a process of its own: seconds, processor time, and its peak of memory.

A process is told the peak of whatever started it if that is larger than its own. So a small one
starts what is measured, which has imported next to nothing.
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


def commandline(url: str, *arguments: str) -> list[str]:
    """Return the words of a command of taskbank.

    Args:
        url: of the bank.
        arguments: the command, and what it is given.
    """
    return [sys.executable, "-m", "taskbank", "--bank", url, *arguments]


def surroundings(threads: int | None = None) -> dict[str, str]:
    """Return the environment of what is measured: where Python keeps what it has compiled.

    Args:
        threads: that it computes with; none means as many as it takes.
    """
    found = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    if threads is not None:
        found |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return found


def cost(command: Sequence[str], threads: int | None = None) -> dict[str, Any]:
    """Run a command, whose output is thrown away, and return what it cost.

    Args:
        command: its words, the first of which is the path of a program.
        threads: that it computes with; none means as many as it takes.

    Returns:
        `seconds`, `processor` (seconds of it, on all cores) and `memory` (its peak, in MiB).

    Raises:
        SystemExit: if the command failed, with the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTER, *command],
        check=True, capture_output=True, text=True, env=surroundings(threads),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    if found.pop("code") != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return found
