"""The models of a bank's adapters in memory: those that were used last, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from taskbank.backbone import Backbone
from taskbank.catalog.records import AdapterRecord
from taskbank.inference import model_of
from taskbank.model import TaskModel

MEMORY = 1 << 28  # bytes of adapters and heads: about a hundred of size 64 on a small encoder


class Loaded:
    """Models of adapters on one backbone, which all of them share.

    Nothing is put onto the backbone: a model is what its task changes, so that one more costs its
    own bytes and no time.

    Args:
        backbone: frozen.
        memory: bytes of adapters and heads that are kept, at most; one is kept in any case.
    """

    def __init__(self, backbone: Backbone, memory: int = MEMORY) -> None:
        self.backbone, self.memory = backbone, memory
        self._models: OrderedDict[tuple[int, str], tuple[TaskModel, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

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
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key][0]
        model = model_of(record, self.backbone)
        size = sum(tensor.nbytes for tensor in model.trained().values())
        with self._lock:
            if key not in self._models:  # another thread may have been quicker
                self._models[key] = (model, size)
                self._bytes += size
            while self._bytes > self.memory and len(self._models) > 1:
                _, (_, freed) = self._models.popitem(last=False)
                self._bytes -= freed
        return model
