"""A bounded LRU cache: for models, states of a backbone, and splits that versions share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LruCache(Generic[Value]):
    """Values by key, bounded in size; the least recently used values are evicted.

    It is thread-safe. Two threads may create the same value; both get the one that is kept.

    Args:
        capacity: the maximum total size; the most recently used value is kept in any case.
        size: returns the size of a value.
        evicted: is given each value that is evicted.
    """

    def __init__(
        self,
        capacity: int,
        size: Callable[[Value], int],
        evicted: Callable[[Value], None] = lambda _: None,
    ) -> None:
        self.capacity, self.size, self.evicted = capacity, size, evicted
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._total_size = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def total_size(self) -> int:
        """The size of all values."""
        return self._total_size

    def find(self, key: Hashable) -> Value | None:
        """Return the value of a key, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: Hashable, value: Value) -> Value:
        """Keep a value unless its key already has one; return the kept value."""
        size = self.size(value)
        gone = []
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value, size
                self._total_size += size
            self._kept.move_to_end(key)
            while self._total_size > self.capacity and len(self._kept) > 1:
                _, (old, freed) = self._kept.popitem(last=False)
                self._total_size -= freed
                gone.append(old)
                del old
            kept = self._kept[key][0]
        while gone:
            self.evicted(gone.pop())
        return kept

    def get(self, key: Hashable, create: Callable[[], Value]) -> Value:
        """Return the value of a key, creating it if it is missing."""
        value = self.find(key)
        return self.keep(key, create()) if value is None else value
