"""Predicts with the tasks of a bank: one encoder in memory, any number of tasks beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import Encoded
from taskbank.digests import Json
from taskbank.errors import DamagedError, DataError
from taskbank.model.load import encode_for, load_recorded_backbone
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.runtime.prefetch import prefetch
from taskbank.serve.model_cache import MEMORY, ModelCache
from taskbank.serve.prediction import Prediction

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.kinds.kind import Columns, Kind
    from taskbank.model.task_model import TaskModel

BLOCK = 1024  # inputs of a task that are predicted together, while the next are tokenised
TASKS = 64  # tasks that are predicted together

Inputs = Sequence[Json]


class Predictor:
    """Predicts with any task of a bank. The encoder is loaded once, adapters when they are used.

    Args:
        bank: an open bank.
        backbone: where to load the backbone from, if not from where it was recorded.
        device: to compute on; none means the best there is.
        memory: bytes of adapters that are kept for the next time.
    """

    def __init__(
        self,
        bank: Bank,
        *,
        backbone: str | None = None,
        device: str | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.bank, self.spec, self.device, self.memory = bank, backbone, device, memory
        self._loaded: dict[str, ModelCache] = {}

    def predict(self, ref: str, inputs: Inputs) -> list[Prediction]:
        """Predict with one task; see `predict_many`."""
        return self.predict_many([(ref, inputs)])[0]

    def predict_many(self, asked: Sequence[tuple[str, Inputs]]) -> list[list[Prediction]]:
        """Predict with several tasks at once.

        Texts that are given for several tasks go through what these have in common once, and
        inputs of different tasks are computed in one batch.

        Args:
            asked: a task, as `NAME`, `NAME@VERSION` or `NAME@ALIAS`, and its inputs: texts; pairs
                of them where the task takes two, such as a question and its context; texts or
                lists of words where it tags words.

        Returns:
            for each of what was asked, one prediction per input.

        Raises:
            NotFoundError: if there is no such adapter.
            DataError: if the inputs do not fit the task's kind.
            BackboneMismatchError: if the backbone is not the recorded one.
            DamagedError: if stored rows or bytes are not what was recorded.
        """
        questions = [_Question(self.bank[ref], inputs) for ref, inputs in asked]
        groups: dict[str, list[_Question]] = defaultdict(list)
        for question in questions:
            groups[question.record.backbone].append(question)
        for fingerprint, group in groups.items():
            self._answer(self._load(fingerprint), group)
        return [question.answers for question in questions]

    def _load(self, fingerprint: str) -> ModelCache:
        if fingerprint not in self._loaded:
            recorded = self.bank.backbone(fingerprint)
            backbone = load_recorded_backbone(recorded, self.spec, self.device)
            self._loaded[fingerprint] = ModelCache(self.bank, backbone, self.memory)
        return self._loaded[fingerprint]

    def _answer(self, loaded: ModelCache, questions: Sequence[_Question]) -> None:
        for block in prefetch(lambda some: _prepared(loaded, some), _blocks(questions)):
            asked = [PredictionRequest(one.model, one.encoded) for one in block]
            outputs = predict_mixed(loaded.backbone, asked)
            for piece, found in zip(block, outputs, strict=True):
                piece.question.add(piece, found)


class _Question:
    """A task and its inputs, checked, and the answers so far."""

    def __init__(self, record: AdapterRecord, inputs: Inputs) -> None:
        self.record, self.inputs = record, inputs
        self.kind: Kind = plugins.load("kinds", record.kind)
        self.rows = [one if isinstance(one, tuple) else (one,) for one in inputs]
        if not self.rows:
            raise DataError("there is nothing to predict: give at least one text")
        self.columns = self.kind.parse(self.rows, record.definition)
        self.answers: list[Prediction] = []

    @property
    def encoding(self) -> Hashable:
        """What is the same for tasks that make the same tokens of their inputs."""
        own = self.record.ref if self.kind.per_token else tuple(self.columns)
        return id(self.inputs), type(self.kind).encode, self.record.training["max_length"], own

    def add(self, piece: _Piece, outputs: np.ndarray) -> None:
        """Take over what was computed for the next of the inputs."""
        kind, definition = self.kind, self.record.definition
        predictions = kind.predictions(outputs, piece.encoded)
        # NaN and infinity count as changes even from themselves.
        broken = kind.changes(predictions, predictions, piece.columns, definition).changed
        if broken.any():
            number = len(self.answers) + broken.argmax() + 1
            raise DamagedError(
                f"{self.record.ref} produced NaN or infinity for input {number}: "
                f"run taskbank verify-all --task {self.record.ref}"
            )
        rows = self.rows[len(self.answers) :]
        answers = kind.answers(predictions, piece.columns, definition)
        self.answers += [
            Prediction.of(row, answer) for row, answer in zip(rows, answers, strict=False)
        ]


@dataclass(frozen=True)
class _Piece:
    """Some of the inputs of a question, ready for its model."""

    question: _Question
    columns: Columns
    encoded: Encoded
    model: TaskModel


def _blocks(questions: Sequence[_Question]) -> Iterator[list[tuple[_Question, slice]]]:
    """Cut questions into what is computed together."""
    for first in range(0, len(questions), TASKS):
        some = questions[first : first + TASKS]
        for start in range(0, max(len(one.rows) for one in some), BLOCK):
            yield [(one, slice(start, start + BLOCK)) for one in some if start < len(one.rows)]


def _prepared(loaded: ModelCache, block: Sequence[tuple[_Question, slice]]) -> list[_Piece]:
    encodings: dict[Hashable, Encoded] = {}
    pieces = []
    for question, part in block:
        columns = {name: values[part] for name, values in question.columns.items()}
        key, record = question.encoding, question.record
        if key not in encodings:
            encodings[key] = encode_for(record, loaded.backbone, columns)
        pieces.append(_Piece(question, columns, encodings[key], loaded.model(record)))
    return pieces


def predict(
    bank: Bank,
    ref: str,
    inputs: Inputs,
    *,
    backbone: str | None = None,
    device: str | None = None,
) -> list[Prediction]:
    """Predict with one task, once; `Predictor` keeps the backbone for the next time.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        inputs: see `Predictor.predict_many`, which also says what is returned and raised.
        backbone: where to load the backbone from, if not from where it was recorded.
        device: to compute on; none means the best there is.
    """
    return Predictor(bank, backbone=backbone, device=device).predict(ref, inputs)
