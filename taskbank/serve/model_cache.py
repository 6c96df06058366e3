"""The models of a bank's adapters in memory: those that were used last, up to a number of bytes."""

from __future__ import annotations

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.model.load import load_model
from taskbank.model.task_model import TaskModel
from taskbank.runtime.lru import LruCache

MEMORY = 1 << 28  # bytes of adapters and heads: about a hundred of size 64 on a small encoder


class ModelCache:
    """Models of adapters on one backbone, which all of them share.

    Nothing is put onto the backbone: a model is what its task changes, so that one more costs its
    own bytes and no time.

    Args:
        bank: that stores the adapters.
        backbone: frozen.
        memory: bytes of adapters and heads that are kept, at most; one is kept in any case.
    """

    def __init__(self, bank: Bank, backbone: Backbone, memory: int = MEMORY) -> None:
        self.bank, self.backbone = bank, backbone
        self._models: LruCache[TaskModel] = LruCache(memory, _size)

    def __len__(self) -> int:
        return len(self._models)

    def model(self, record: AdapterRecord) -> TaskModel:
        """Return the model of an adapter, loading it if it is not there.

        Args:
            record: an adapter of the backbone.

        Raises:
            DamagedError: if the stored tensors are gone or do not fit.
        """
        key = (record.id, record.digest)
        return self._models.get(key, lambda: load_model(self.bank, record, self.backbone))


def _size(model: TaskModel) -> int:
    return sum(tensor.nbytes for tensor in model.trained_tensors().values())
