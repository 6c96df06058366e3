"""What was used last, up to a size: models, states of a backbone, splits that versions share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LruCache(Generic[Value]):
    """Things by their keys; those that were not used for longest are let go of.

    Threads may use it at once. Two of them may make the same thing; both get the one that is kept.

    Args:
        room: what the sizes of all may come to; one thing is kept in any case.
        size: of a thing.
    """

    def __init__(self, room: int, size: Callable[[Value], int]) -> None:
        self.room, self.size = room, size
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._taken = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Hashable) -> Value | None:
        """Return what is kept under a key, or none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: Hashable, value: Value) -> Value:
        """Keep a thing unless there is one under its key already; return the one that is kept."""
        size = self.size(value)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value, size
                self._taken += size
            self._kept.move_to_end(key)
            while self._taken > self.room and len(self._kept) > 1:
                _, (_, freed) = self._kept.popitem(last=False)
                self._taken -= freed
            return self._kept[key][0]

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what is kept under a key, making it if nothing is."""
        found = self.find(key)
        return self.keep(key, make()) if found is None else found
