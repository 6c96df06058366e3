"""Bounded LRU cache of the models of a bank's adapters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import WeakSet

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.model.load import load_model, model_shape
from taskbank.model.stored_model import StoredModel
from taskbank.runtime.lru import LruCache

Key = tuple[int, str]
UNUSED = 16  # models of one shape that are kept, without tensors, to be used again
MEMORY = 1 << 28  # bytes of adapters and heads: about 100 adapters of size 64 on a small encoder


class ModelCache:
    """LRU cache of adapter models that share one backbone.

    The backbone is not modified: a model holds only the changes of its task, so another model costs
    only its own bytes. Making a model takes longer than reading its tensors, so a model that was
    evicted gets the tensors of the next adapter of its shape, if everyone who had it has only
    borrowed it. The cache is thread-safe.

    Args:
        bank: the bank that stores the adapters.
        backbone: the frozen backbone.
        memory: maximum size of the cached adapters and heads in bytes; the newest model is always
            cached.
    """

    def __init__(self, bank: Bank, backbone: Backbone, memory: int = MEMORY) -> None:
        self.bank, self.backbone, self.memory = bank, backbone, memory
        self._models: LruCache[StoredModel] = LruCache(
            memory, lambda model: model.trained_bytes, self._evicted
        )
        # What is known of a model, by its id, while it is cached or borrowed.
        self._about: dict[int, tuple[Key, str]] = {}  # its adapter and its shape
        self._borrowed: Counter[int] = Counter()
        self._left: set[int] = set()  # evicted while they were borrowed
        self._wanted: Counter[Key] = Counter()  # adapters that are about to be borrowed
        self._given: WeakSet[StoredModel] = WeakSet()  # to somebody who may hold them for ever
        self._unused: dict[str, list[StoredModel]] = defaultdict(list)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._models)

    @property
    def bytes(self) -> int:
        """The size of the cached adapters and heads in bytes."""
        return self._models.total_size

    def has(self, record: AdapterRecord) -> bool:
        """Return whether the model of an adapter is cached, so that it need not be loaded."""
        return self._models.find((record.id, record.digest)) is not None

    def model(self, record: AdapterRecord) -> StoredModel:
        """Return the model of an adapter, loading it if it is not cached.

        Args:
            record: the record of an adapter for this backbone.

        Raises:
            DamagedError: if the stored tensors are missing or do not fit.
        """
        with self._found(record) as model:
            self._given.add(model)
            return model

    def borrow(self, record: AdapterRecord) -> StoredModel:
        """Return the model of an adapter to somebody who will give it back.

        Args:
            record: the record of an adapter for this backbone.

        Raises:
            DamagedError: if the stored tensors are missing or do not fit.
        """
        with self._found(record) as model:
            self._borrowed[id(model)] += 1
            return model

    def give_back(self, model: StoredModel) -> None:
        """Take back a borrowed model: neither it nor any part of it may be used any more."""
        with self._lock:
            self._borrowed[id(model)] -= 1
            if not self._borrowed[id(model)]:
                del self._borrowed[id(model)]
                if id(model) in self._left:
                    self._left.remove(id(model))
                    self._keep_unused(model)

    @contextmanager
    def _found(self, record: AdapterRecord) -> Iterator[StoredModel]:
        """Yield the model of an adapter under the lock, which is not held while it is loaded."""
        key = record.id, record.digest
        with self._lock:
            self._wanted[key] += 1  # it may be evicted before the lock is taken again
        try:
            model = self._models.find(key)
            if model is None:
                loaded = self._load(record, key)
                model = self._models.keep(key, loaded)
                if model is not loaded:  # another thread was first
                    with self._lock:
                        del self._about[id(loaded)]
            with self._lock:
                yield model
        finally:
            with self._lock:
                self._wanted[key] -= 1
                if not self._wanted[key]:
                    del self._wanted[key]

    def _load(self, record: AdapterRecord, key: Key) -> StoredModel:
        shape = model_shape(record)
        with self._lock:
            unused = self._unused[shape].pop() if self._unused[shape] else None
        model = load_model(self.bank, record, self.backbone, unused)
        with self._lock:
            self._about[id(model)] = key, shape
        return model

    def _evicted(self, model: StoredModel) -> None:
        with self._lock:
            if self._borrowed[id(model)]:
                self._left.add(id(model))
                return
            key, _ = self._about[id(model)]
            if self._wanted[key]:  # somebody may just have got it
                del self._about[id(model)]
            else:
                self._keep_unused(model)

    def _keep_unused(self, model: StoredModel) -> None:
        _, shape = self._about.pop(id(model))
        if model not in self._given and len(self._unused[shape]) < UNUSED:
            model.release_tensors()
            self._unused[shape].append(model)
