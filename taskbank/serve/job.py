"""One task's inputs in one request, and the predictions made so far."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import Encoded
from taskbank.digests import Json
from taskbank.errors import DamagedError
from taskbank.kinds.abstention import withhold
from taskbank.serve.prediction import Prediction

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind
    from taskbank.model.stored_model import StoredModel

# Rows of one request that are tokenised in one turn, and about how many tokens they may have.
TURN_ROWS, TURN_TOKENS = 16, 512
CHARACTERS = 4  # per token, about


@dataclass
class Spent:
    """Where the time of a job went, in seconds.

    Attributes:
        waiting: from the submission to the first computation, without tokenising.
        tokenising: tokenising its rows, together with those of other jobs.
        computing: the batches that had rows of it.
    """

    waiting: float = 0.0
    tokenising: float = 0.0
    computing: float = 0.0


class Job:
    """One task's inputs in one request, and the predictions made so far.

    Args:
        record: the version to predict with.
        rows: one tuple per input, as `taskbank.serve.inputs.input_rows` returns them.
        shadow: a job for another version with the same rows, computed in the same batches.

    Attributes:
        future: holds the job itself once every row is predicted, or the error; whoever no longer
            wants the predictions cancels it.
        predictions: the predictions, in the order of the rows, once all are made.
        outputs: the kind's predictions as arrays, in the same order.
        tokens: number of tokens that the rows predicted so far have.

    Raises:
        DataError: if the inputs do not suit the task.
    """

    def __init__(
        self, record: AdapterRecord, rows: Sequence[tuple[Json, ...]], shadow: Job | None = None
    ) -> None:
        self.record, self.rows, self.shadow = record, rows, shadow
        self.kind: Kind = plugins.load("kinds", record.kind)
        self.columns: Columns = self.kind.parse(rows, record.definition)
        self.future: Future[Job] = Future()
        self.predictions: list[Prediction] = []
        self.outputs: list[np.ndarray] = []
        self.tokens = 0
        self.spent = Spent()
        self.submitted = perf_counter()
        self._taken = 0
        self._missing = len(rows)
        self._parts: dict[int, tuple[list[Prediction], np.ndarray]] = {}  # by their first row
        self._lock = Lock()

    @property
    def all_taken(self) -> bool:
        """Whether every row has been taken for a batch."""
        return self._taken == len(self.rows)

    def take(self) -> Piece:
        """Return the rows of the next turn."""
        start = stop = self._taken
        # An input of tokens becomes as many windows as it needs.
        longest = None if self.kind.per_token else self.record.training["max_length"]
        tokens = 0.0
        while stop < len(self.rows) and stop - start < TURN_ROWS and tokens < TURN_TOKENS:
            length = sum(map(len, self.rows[stop])) / CHARACTERS
            tokens += length if longest is None else min(length, longest)
            stop += 1
        self._taken = stop
        return Piece(self, start, stop)

    def add(self, piece: Piece, outputs: np.ndarray, encoded: Encoded) -> bool:
        """Add the predictions of some rows, and return whether all are there.

        Threads may add different rows at the same time, in any order.

        Args:
            piece: the rows.
            outputs: the model's outputs for them.
            encoded: their tokens.

        Raises:
            DamagedError: if an output is NaN or infinite.
        """
        kind, definition = self.kind, self.record.definition
        values, columns = kind.predictions(outputs, encoded), piece.columns
        if not np.isfinite(values).all():
            # NaN and infinity count as changed even when compared with themselves.
            broken = kind.changes(values, values, columns, definition).changed
            if broken.any():
                raise DamagedError(
                    f"{self.record.ref} produced NaN or infinity for input "
                    f"{piece.start + int(broken.argmax()) + 1}: run taskbank verify-all "
                    f"--task {self.record.ref}"
                )
        truncated = set(encoded.truncated.tolist())
        predictions = [
            Prediction.of(row, withhold(answer, definition), truncated=position in truncated)
            for position, (row, answer) in enumerate(
                zip(piece.rows, kind.answers(values, columns, definition), strict=True)
            )
        ]
        with self._lock:
            self._parts[piece.start] = predictions, values
            self.tokens += int(encoded.offsets[-1])
            self._missing -= len(piece)
            if self._missing:
                return False
        for _, (some, arrays) in sorted(self._parts.items()):
            self.predictions += some
            self.outputs.append(arrays)
        return True


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of a job."""

    job: Job
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rows(self) -> Sequence[tuple[Json, ...]]:
        """The rows."""
        return self.job.rows[self.start : self.stop]

    @property
    def columns(self) -> Columns:
        """The columns of the rows."""
        part = slice(self.start, self.stop)
        return {name: values[part] for name, values in self.job.columns.items()}

    @property
    def shadow(self) -> Piece | None:
        """The same rows of the job's shadow."""
        shadow = self.job.shadow
        if shadow is None or shadow.future.done():
            return None
        return Piece(shadow, self.start, self.stop)


@dataclass(frozen=True)
class Prepared:
    """Rows of a job that are ready to be computed.

    Attributes:
        piece: the rows.
        encoded: their tokens.
        model: the model of the job's task.
        shadow: the same rows of the job's shadow.
    """

    piece: Piece
    encoded: Encoded
    model: StoredModel
    shadow: Prepared | None = None

    @property
    def tokens(self) -> int:
        """Number of tokens that are computed: each once per member, without those of the shadow."""
        return int(self.encoded.offsets[-1]) * len(self.model.members)

    @property
    def parts(self) -> Sequence[Prepared]:
        """These rows and those of the shadow."""
        return (self,) if self.shadow is None else (self, self.shadow)
