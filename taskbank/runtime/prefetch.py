"""Computes the next item in a thread while the caller uses the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the result for each item, in order, computing one item ahead of the caller.

    Args:
        compute: computes an item's result in the thread, one at a time; its errors are raised here.
        items: the items, read one ahead.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        pending = None
        for item in items:
            previous, pending = pending, thread.submit(compute, item)
            if previous is not None:
                yield previous.result()
        if pending is not None:
            yield pending.result()
