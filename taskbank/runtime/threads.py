"""How the threads of a computation wait for each other.

OpenMP's threads spin at every barrier, for milliseconds, before they sleep. A training passes
thousands of barriers. Where two trainings share processors, each thread that spins takes the time
that the other training's threads need to get to their barrier, and both take many times as long.
Threads that sleep after about 50 µs give way. docs/measured/contention.md has the measurements.

OpenMP reads its settings once, when torch is loaded, so that they have to be made before. The
number of threads stays as it is: results depend on it, and not on how threads wait.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Any OpenMP lets its threads sleep at once; GCC's, which torch has on Linux, after some turns.
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
# Whoever has set one of these has decided how threads wait: for any OpenMP, GCC's, LLVM's.
SETTINGS = (*WAITING, "KMP_BLOCKTIME", "KMP_LIBRARY")


def let_threads_sleep() -> bool:
    """Let threads that wait sleep soon, unless the user has decided or torch is loaded already.

    Returns:
        whether the environment was changed; processes that this one starts inherit it.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return False
    os.environ.update(WAITING)
    return True


@contextmanager
def sleeping_threads() -> Iterator[None]:
    """Let threads that wait sleep soon if torch is loaded within; then restore the environment."""
    changed = let_threads_sleep()
    try:
        yield
    finally:
        if changed:
            for name in WAITING:
                os.environ.pop(name, None)
