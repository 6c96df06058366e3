"""Computes the next item in a thread while the caller uses the one before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the result for each item, in order, computing one item ahead of the caller.

    A single item is computed without a thread, which would only delay it.

    Args:
        compute: computes an item's result in the thread, one at a time; its errors are raised here.
        items: the items, read one ahead.
    """
    waiting = iter(items)
    first = list(islice(waiting, 2))
    if len(first) < 2:
        yield from map(compute, first)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        # A future that was popped keeps no result alive while the caller uses it.
        futures: deque[Future[Result]] = deque()
        for item in chain(first, waiting):
            futures.append(thread.submit(compute, item))
            if len(futures) > 1:
                yield futures.popleft().result()
        if futures:
            yield futures.popleft().result()
