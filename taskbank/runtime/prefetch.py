"""Makes the next thing in a thread while the one before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def prefetch(make: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """Give what is made of each of some things, in their order, one prefetch of what is asked for.

    Args:
        make: called in one thread, for one thing at a time; what it raises is raised here.
        given: what it is called with.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        coming = None
        for one in given:
            ready, coming = coming, thread.submit(make, one)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()
