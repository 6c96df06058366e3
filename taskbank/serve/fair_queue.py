"""A queue in which tasks take turns, and within a task its requests. Knows nothing of models."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items by task; the task that has waited longest for a turn is next.

    However many items of one task are waiting, an item of another task waits only for one turn of
    each task before it. It is not thread-safe.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, deque[Item]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, task: Hashable, item: Item) -> None:
        """Add an item after all items of its task."""
        self._waiting.setdefault(task, deque()).append(item)

    def put_back(self, task: Hashable, item: Item) -> None:
        """Return an item that was taken: it is the next item again."""
        self._waiting.setdefault(task, deque()).appendleft(item)
        self._waiting.move_to_end(task, last=False)

    def take(self, allowed: Callable[[Hashable], bool] = lambda _: True) -> Item | None:
        """Remove and return the next item; its task's next turn comes after those of all others.

        Args:
            allowed: tells whether a task may have a turn now.

        Returns:
            the item; None if no task that has items may have a turn.
        """
        for task in self._waiting:
            if allowed(task):
                items = self._waiting[task]
                item = items.popleft()
                if items:
                    self._waiting.move_to_end(task)
                else:
                    del self._waiting[task]
                return item
        return None
