"""Bounded LRU cache of the models of a bank's adapters."""

from __future__ import annotations

import sys
from collections import defaultdict
from threading import Lock

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.model.load import load_model, model_shape
from taskbank.model.task_model import TaskModel
from taskbank.runtime.lru import LruCache

UNUSED = 16  # models of one shape that are kept, without tensors, to be used again
HELD_HERE = 2  # references to a model that nobody else holds: the variable and the question itself
MEMORY = 1 << 28  # bytes of adapters and heads: about 100 adapters of size 64 on a small encoder


class ModelCache:
    """LRU cache of adapter models that share one backbone.

    The backbone is not modified: a model holds only the changes of its task, so another model costs
    only its own bytes.

    Args:
        bank: the bank that stores the adapters.
        backbone: the frozen backbone.
        memory: maximum size of the cached adapters and heads in bytes; the newest model is always
            cached.
    """

    def __init__(self, bank: Bank, backbone: Backbone, memory: int = MEMORY) -> None:
        self.bank, self.backbone, self.memory = bank, backbone, memory
        self._models: LruCache[tuple[TaskModel, str]] = LruCache(
            memory, lambda kept: kept[0].trained_bytes, self._evicted
        )
        self._unused: dict[str, list[TaskModel]] = defaultdict(list)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._models)

    @property
    def bytes(self) -> int:
        """The size of the cached adapters and heads in bytes."""
        return self._models.total_size

    def model(self, record: AdapterRecord) -> TaskModel:
        """Return the model of an adapter, loading it if it is not cached.

        Args:
            record: the record of an adapter for this backbone.

        Raises:
            DamagedError: if the stored tensors are missing or do not fit.
        """
        key = (record.id, record.digest)
        return self._models.get(key, lambda: self._load(record))[0]

    def _load(self, record: AdapterRecord) -> tuple[TaskModel, str]:
        shape = model_shape(record)
        with self._lock:
            unused = self._unused[shape].pop() if self._unused[shape] else None
        return load_model(self.bank, record, self.backbone, unused), shape

    def _evicted(self, kept: tuple[TaskModel, str]) -> None:
        """Keep an evicted model without its tensors if nobody computes with it."""
        model, shape = kept
        del kept
        if sys.getrefcount(model) > HELD_HERE:
            return
        model.release_tensors()
        with self._lock:
            if len(self._unused[shape]) < UNUSED:
                self._unused[shape].append(model)
