"""Bounded LRU cache of the models of a bank's adapters."""

from __future__ import annotations

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.model.load import load_model
from taskbank.model.task_model import TaskModel
from taskbank.runtime.lru import LruCache

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
        self._models: LruCache[TaskModel] = LruCache(memory, self.size)

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
        return self._models.get(key, lambda: load_model(self.bank, record, self.backbone))

    @staticmethod
    def size(model: TaskModel) -> int:
        """Return the size of a model's adapter and head in bytes."""
        return sum(tensor.nbytes for tensor in model.trained_tensors().values())
