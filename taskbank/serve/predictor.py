"""Predicts with any number of a bank's tasks, which share one encoder in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import Encoded
from taskbank.kinds.kind import input_fields
from taskbank.model.load import check_backbone, encode_for, load_recorded_backbone
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.runtime.prefetch import prefetch
from taskbank.serve.inputs import input_rows, read_once
from taskbank.serve.job import Job, Piece, Prepared
from taskbank.serve.live import LiveTasks
from taskbank.serve.model_cache import MEMORY, ModelCache
from taskbank.serve.prediction import Prediction

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.kinds.kind import Kind

BLOCK = 1024  # inputs per task and block; the next block is tokenised during prediction
TASKS = 64  # tasks per block

Inputs = Any  # the forms that `Predictor.predict_many` describes


class Predictor:
    """Predicts with any task of a bank.

    The encoder is loaded once, and each adapter on first use.

    Args:
        bank: an open bank.
        backbone: the backbone, loaded, or its source; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        memory: maximum size of the adapters cached between calls, in bytes.
    """

    def __init__(
        self,
        bank: Bank,
        *,
        backbone: Backbone | str | None = None,
        device: str | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.bank, self.backbone, self.device, self.memory = bank, backbone, device, memory
        self._caches: dict[str, ModelCache] = {}
        self._tasks = LiveTasks(bank)

    def predict(self, ref: str, inputs: Inputs) -> list[Prediction]:
        """Predict with one task; see `predict_many`."""
        return self.predict_many([(ref, inputs)])[0]

    def predict_many(self, asked: Sequence[tuple[str, Inputs]]) -> list[list[Prediction]]:
        """Predict with several tasks at once.

        Tasks that are given the same texts share the computation of their common lower layers, and
        inputs of different tasks are computed in one batch.

        Args:
            asked: pairs of a task, as `NAME`, `NAME@VERSION` or `NAME@ALIAS`, and its inputs:
                a list, an array or another collection of inputs. An input is a text, a pair of
                texts if the task takes two, such as a question and its context, or, if the task
                tags words, a text or a list of words. A single text is one input. A data frame or
                another table in memory gives one input per row, from the task's columns.

        Returns:
            one list per task, with one prediction per input.

        Raises:
            NotFoundError: if the bank has no such adapter.
            DataError: if the inputs do not fit the task's kind.
            BackboneMismatchError: if the backbone differs from the recorded one.
            DamagedError: if stored rows or bytes differ from what was recorded.
        """
        self._tasks.refresh()
        requests = [_request(self._tasks.get(ref), inputs) for ref, inputs in read_once(asked)]
        groups: dict[str, list[_Request]] = defaultdict(list)
        for request in requests:
            groups[request.job.record.backbone].append(request)
        for fingerprint, group in groups.items():
            self._predict(self._cache(fingerprint), group)
        return [request.job.predictions for request in requests]

    def _cache(self, fingerprint: str) -> ModelCache:
        if fingerprint not in self._caches:
            recorded = self.bank.backbone(fingerprint)
            if isinstance(self.backbone, Backbone):
                backbone = self.backbone
                check_backbone(backbone.identity, recorded.identity)
            else:
                backbone = load_recorded_backbone(self.bank, recorded, self.backbone, self.device)
            self._caches[fingerprint] = ModelCache(self.bank, backbone, self.memory)
        return self._caches[fingerprint]

    def _predict(self, cache: ModelCache, requests: Sequence[_Request]) -> None:
        for block in prefetch(lambda pieces: _prepare(cache, pieces), _blocks(requests)):
            inputs = [PredictionRequest(one.model, one.encoded) for one in block]
            for one, outputs in zip(block, predict_mixed(cache.backbone, inputs), strict=True):
                one.piece.job.add(one.piece, outputs, one.encoded)
            # The next step of the loop starts loading models, so these are released first.
            del inputs, one, block


@dataclass(frozen=True)
class _Request:
    """A job, and the inputs that its caller gave."""

    job: Job
    inputs: Inputs

    @property
    def encoding(self) -> Hashable:
        """A key that is equal for requests whose tokenised inputs are equal."""
        job, record = self.job, self.job.record
        columns = record.ref if job.kind.per_token else tuple(job.columns)
        return id(self.inputs), type(job.kind).encode, record.training["max_length"], columns


def _request(record: AdapterRecord, inputs: Inputs) -> _Request:
    kind: Kind = plugins.load("kinds", record.kind)
    return _Request(Job(record, input_rows(inputs, input_fields(kind, record.definition))), inputs)


def _blocks(requests: Sequence[_Request]) -> Iterator[list[tuple[_Request, Piece]]]:
    """Yield blocks of inputs, which are computed together, as pieces of requests."""
    for first in range(0, len(requests), TASKS):
        group = requests[first : first + TASKS]
        for start in range(0, max(len(request.job.rows) for request in group), BLOCK):
            yield [
                (request, Piece(request.job, start, min(start + BLOCK, len(request.job.rows))))
                for request in group
                if start < len(request.job.rows)
            ]


def _prepare(cache: ModelCache, block: Sequence[tuple[_Request, Piece]]) -> list[Prepared]:
    encodings: dict[Hashable, Encoded] = {}
    prepared = []
    for request, piece in block:
        key, record = request.encoding, request.job.record
        if key not in encodings:
            encodings[key] = encode_for(record, cache.backbone, piece.columns)
        prepared.append(Prepared(piece, encodings[key], cache.model(record)))
    return prepared
