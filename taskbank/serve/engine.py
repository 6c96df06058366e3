"""Answers many requests at once: rows of all tasks that wait are computed in common batches.

Threads share the work. One tokenises rows, a little ahead of those that compute; others load the
adapters that are not in memory, so that rows of other tasks do not wait for them. A batch is
whatever is ready when a computing thread becomes free, up to its share of the rows and a number of
tokens: nothing waits for a batch to fill. Tasks take turns, so a task with one row waits for one
batch, however many rows another task has waiting.

On a CPU, two threads compute if they can, each on half of the cores: whatever else needs a core
then delays one of them, instead of all cores that wait for each other after every product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition, Thread
from time import perf_counter

import numpy as np
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.data.encoded import Encoded, split
from taskbank.errors import OverloadedError
from taskbank.model.load import encode_for
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.runtime.resources import resource_error
from taskbank.serve.fair_queue import FairQueue
from taskbank.serve.job import Job, Piece, Prepared
from taskbank.serve.model_cache import ModelCache

TURNS = 60  # turns that are tokenised together: too few texts for the cache of tokens on the disk
AHEAD = 2  # batches that are tokenised ahead of the computation
COMPUTING = 2  # threads that compute on a CPU
LOADING = 2  # threads that load adapters


@dataclass(frozen=True)
class BatchReport:
    """What one batch was.

    Attributes:
        rows: number of rows, with those of shadows.
        tokens: number of tokens that its rows have.
        tasks: number of different models.
        seconds: how long it was computed.
    """

    rows: int
    tokens: int
    tasks: int
    seconds: float


class Engine:
    """Predicts for jobs of any number of tasks in threads of its own; see the module.

    Args:
        cache: the models of the tasks.
        batch_tokens: maximum number of tokens of a batch.
        max_rows: maximum number of rows that may wait.
        deadline: seconds after which nobody waits for a job any more.
        on_batch: called after each batch, in the computing thread.
    """

    def __init__(
        self,
        cache: ModelCache,
        *,
        batch_tokens: int,
        max_rows: int,
        deadline: float,
        on_batch: Callable[[BatchReport], None] = lambda _: None,
    ) -> None:
        self.cache, self.batch_tokens, self.max_rows = cache, batch_tokens, max_rows
        self.deadline, self.on_batch = deadline, on_batch
        self._waiting: FairQueue[Job] = FairQueue()
        self._ready: FairQueue[Prepared] = FairQueue()
        self._ahead: Counter[Hashable] = Counter()  # tokens that are ready or computed, by task
        self._loading = 0  # pieces whose adapters are being loaded
        self._pinned: dict[int, list[int]] = {}  # uses and size of each model in them, by id
        self._largest = 0  # size of a model
        self._unanswered = 0  # rows
        self._stopped = False
        self._changed = Condition()
        self._lanes = [_Lane() for _ in range(_lanes(cache.backbone))]
        self._cores = torch.get_num_threads()
        self._loaders = ThreadPoolExecutor(LOADING, "taskbank-load")
        self._threads = [
            Thread(target=self._prepare, name="taskbank-prepare", daemon=True),
            *(
                Thread(target=self._compute, args=[lane], name="taskbank-compute", daemon=True)
                for lane in self._lanes
            ),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting_rows(self) -> int:
        """Number of rows that are waiting or being computed."""
        return self._unanswered

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let jobs be predicted, all or none.

        Each job's `future` tells when it is done.

        Raises:
            OverloadedError: if too many rows are waiting already.
        """
        rows = sum(len(job.rows) for job in jobs)
        with self._changed:
            self.check_room(rows)
            self._unanswered += rows
            for job in jobs:
                self._waiting.put(job.record.task, job)
                job.future.add_done_callback(partial(self._forget, len(job.rows)))
            self._changed.notify_all()

    def close(self) -> None:
        """Finish the jobs that were submitted, then end the threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._loaders.shutdown()

    def check_room(self, rows: int) -> None:
        """Raise if so many more rows may not wait.

        Raises:
            OverloadedError: saying why, and when to try again.
        """
        if not self._unanswered:
            return
        rate = sum(lane.rate for lane in self._lanes)
        # Thrice, as clients that are refused take time too, and the rate falls with them.
        seconds = 3 * (self._unanswered + rows) / rate if rate else 0.0
        if self._unanswered + rows > self.max_rows:
            what = f"at most {self.max_rows:,} rows may wait"
        elif seconds > self.deadline:
            what = f"that is more than can be answered in {self.deadline:g} s, the deadline"
        else:
            return
        after = self._unanswered / rate / 2 if rate else 1.0
        raise OverloadedError(
            f"{self._unanswered:,} rows are waiting and the request has {rows:,}: {what}; "
            f"try again in {max(1.0, after):.0f} s",
            max(1.0, min(after, self.deadline)),
        )

    def _forget(self, rows: int, _done: Future[Job]) -> None:
        with self._changed:
            self._unanswered -= rows
            self._changed.notify_all()

    # Tokenising

    def _prepare(self) -> None:
        while True:
            with self._changed:
                pieces = self._turns()
                while not pieces:
                    if self._stopped and not self._waiting:
                        # The last jobs were dropped perhaps, and the other thread knows of none.
                        self._changed.notify_all()
                        return
                    self._changed.wait()
                    pieces = self._turns()
            try:
                self._tokenise(pieces)
            except Exception as error:  # whatever it is, the others are answered
                for piece in pieces:
                    _fail(piece.job, error)
            del pieces  # or the last jobs of a busy time are held until the next

    def _turns(self) -> list[Piece]:
        """Take the rows to tokenise next."""
        pieces: list[Piece] = []
        ahead = self._ahead.total()
        counted: Counter[Hashable] = Counter()
        pinned = sum(size for _, size in self._pinned.values())

        def allowed(task: Hashable) -> bool:
            # A task with nothing ready gets a turn even if others have made much ready.
            if pinned + self._largest * (len(counted) + self._loading) > self.cache.memory / 2:
                return not self._ahead and (not pieces or counted.keys() == {task})
            return ahead < AHEAD * self.batch_tokens or not (self._ahead[task] or counted[task])

        while len(pieces) < TURNS:
            job = self._waiting.take(allowed)
            if job is None:
                break
            if job.future.done():  # its client is gone, or an earlier row failed
                continue
            piece = job.take()
            if not job.all_taken:
                self._waiting.put(job.record.task, job)
            pieces.append(piece)
            counted[job.record.task] += 1
            ahead += 16 * len(piece)  # a guess: they are not tokenised yet
        return pieces

    def _tokenise(self, pieces: Sequence[Piece]) -> None:
        started = perf_counter()
        shadows = [piece.shadow for piece in pieces]
        encoded = self._encode([*pieces, *(one for one in shadows if one is not None)])
        seconds = perf_counter() - started
        for piece, shadow in zip(pieces, shadows, strict=True):
            piece.job.spent.tokenising += seconds
            wanted = [piece] if shadow is None else [piece, shadow]
            own = [encoded[id(one)] for one in wanted]
            if all(self.cache.has(one.job.record) for one in wanted):
                self._load(wanted, own)
            else:
                self._begin_loading(wanted, own)

    def _begin_loading(
        self, wanted: Sequence[Piece], encoded: Sequence[Encoded | Exception]
    ) -> None:
        """Load the adapters of rows, and perhaps of their shadow, in another thread."""
        task = wanted[0].job.record.task
        with self._changed:
            self._loading += 1
            self._ahead[task] += 1  # or the task would get one turn after another meanwhile

        def load() -> None:
            try:
                self._load(wanted, encoded)
            except Exception as error:  # a defect: the client need not wait until the deadline
                _fail(wanted[0].job, error)
            finally:
                with self._changed:
                    self._loading -= 1
                    self._count_ahead(task, -1)
                    self._changed.notify_all()

        self._loaders.submit(load)

    def _load(self, wanted: Sequence[Piece], encoded: Sequence[Encoded | Exception]) -> None:
        """Make rows, and perhaps their shadow, ready with their models, or fail their jobs."""
        parts = [self._prepared(piece, own) for piece, own in zip(wanted, encoded, strict=True)]
        first, *others = parts
        shadow = others[0] if others else None
        if first is None:
            if shadow is not None:
                self.cache.give_back(shadow.model)
            return
        one = replace(first, shadow=shadow)
        with self._changed:
            self._ready.put(one.piece.job.record.task, one)
            for part in one.parts:
                self._count_ahead(part.piece.job.record.task, part.tokens)
                size = part.model.trained_bytes
                self._largest = max(self._largest, size)
                self._pinned.setdefault(id(part.model), [0, size])[0] += 1
            self._changed.notify_all()

    def _prepared(self, piece: Piece, encoded: Encoded | Exception) -> Prepared | None:
        """Return rows with their model; if there is none, their job fails."""
        try:
            if isinstance(encoded, Exception):
                raise encoded
            return Prepared(piece, encoded, self.cache.borrow(piece.job.record))
        except Exception as error:
            _fail(piece.job, error)
            return None

    def _count_ahead(self, task: Hashable, tokens: int) -> None:
        self._ahead[task] += tokens
        if not self._ahead[task]:
            del self._ahead[task]

    def _encode(self, pieces: Sequence[Piece]) -> dict[int, Encoded | Exception]:
        """Tokenise rows, each once, and rows of tasks that tokenise alike together."""
        groups: dict[Hashable, dict[Hashable, list[Piece]]] = {}
        for piece in pieces:
            job = piece.job
            # Where an input may become several, those of one piece are kept apart.
            own = id(piece) if job.kind.per_token else tuple(job.columns)
            alike = type(job.kind).encode, job.record.training["max_length"], own
            same = () if job.kind.per_token else tuple(piece.rows)
            groups.setdefault(alike, {}).setdefault(same, []).append(piece)
        encoded_by_piece: dict[int, Encoded | Exception] = {}
        for group in groups.values():
            firsts = [same[0] for same in group.values()]
            for pieces_of_one, encoded in zip(
                group.values(), self._encode_all(firsts), strict=True
            ):
                encoded_by_piece |= {id(piece): encoded for piece in pieces_of_one}
        return encoded_by_piece

    def _encode_all(self, pieces: Sequence[Piece]) -> Sequence[Encoded | Exception]:
        """Tokenise rows of tasks that tokenise alike."""
        columns_of = [piece.columns for piece in pieces]
        columns = {
            name: [value for one in columns_of for value in one[name]] for name in columns_of[0]
        }
        try:
            together = encode_for(pieces[0].job.record, self.cache.backbone, columns)
        except Exception as error:
            if len(pieces) == 1:
                return [error]
            return [one for piece in pieces for one in self._encode_all([piece])]
        if len(pieces) == 1:
            return [together]
        sizes = [len(piece) for piece in pieces]
        if len(together) != sum(sizes):  # inputs that became several cannot be told apart
            return [one for piece in pieces for one in self._encode_all([piece])]
        return split(together, sizes)

    # Computing

    def _compute(self, lane: _Lane) -> None:
        while True:
            with self._changed:
                busy = bool(self._ready)
                while not self._ready:
                    if self._stopped and not (self._waiting or self._unanswered or self._loading):
                        return
                    self._changed.wait()
                batch = self._batch()
                lane.computes = bool(batch)
                cores = self._cores_of_one()
            if batch:
                started = perf_counter()
                since = lane.ended if busy else started
                for one in batch:
                    spent = one.piece.job.spent
                    if not spent.computing:
                        waited = started - one.piece.job.submitted
                        spent.waiting = max(0.0, waited - spent.tokenising)
                torch.set_num_threads(cores)  # of this thread
                outputs = self._outputs(batch)
                torch.set_num_threads(self._cores)  # which threads that begin later take over
                self._report(batch, perf_counter() - started)
                for one, values in zip(batch, outputs, strict=True):
                    _answer(one, values)
                lane.ended = perf_counter()
                if self._ready:  # otherwise a batch is as small as what was asked
                    lane.measure(sum(len(one.piece) for one in batch), lane.ended - since)
                lane.computes = False
            self._release(batch)
            del batch

    def _batch(self) -> list[Prepared]:
        """Take what is computed next."""
        batch: list[Prepared] = []
        total = rows = 0
        share = max(1, -(-self._unanswered // len(self._lanes)))
        while rows < share and (one := self._ready.take()) is not None:
            if one.piece.job.future.done():
                self._release(one.parts)
                continue
            tokens = sum(part.tokens for part in one.parts)
            if batch and total + tokens > self.batch_tokens:
                self._ready.put_back(one.piece.job.record.task, one)
                break
            batch += one.parts
            total += tokens
            rows += len(one.piece)
        return batch

    def _cores_of_one(self) -> int:
        """Return how many cores a batch that begins now has: all, if it is alone."""
        computing = sum(lane.computes for lane in self._lanes)
        busy = len(self._lanes) if self._ready else computing
        return max(1, self._cores // max(1, busy))

    def _outputs(self, batch: Sequence[Prepared]) -> list[np.ndarray | Exception]:
        requests = [PredictionRequest(one.model, one.encoded) for one in batch]
        try:
            return list(predict_mixed(self.cache.backbone, requests))
        except Exception as error:
            if len(batch) == 1:
                return [error]
            # One of them may be to blame: the others are answered.
            return [outputs for one in batch for outputs in self._outputs([one])]

    def _report(self, batch: Sequence[Prepared], seconds: float) -> None:
        rows = sum(len(one.piece) for one in batch)
        for job in {id(one.piece.job): one.piece.job for one in batch}.values():
            job.spent.computing += seconds
        models = {id(one.model) for one in batch}
        self.on_batch(BatchReport(rows, sum(one.tokens for one in batch), len(models), seconds))

    def _release(self, batch: Sequence[Prepared]) -> None:
        with self._changed:
            for one in batch:
                task = one.piece.job.record.task
                self._count_ahead(task, -one.tokens)
                uses = self._pinned[id(one.model)]
                uses[0] -= 1
                if not uses[0]:
                    del self._pinned[id(one.model)]
                self.cache.give_back(one.model)
            self._changed.notify_all()


@dataclass
class _Lane:
    """One thread that computes.

    Attributes:
        computes: whether it computes a batch now.
        rate: rows per second, while there is always a next batch.
        ended: when its last batch was answered.
    """

    computes: bool = False
    rate: float = 0.0
    ended: float = 0.0

    def measure(self, rows: int, seconds: float) -> None:
        """Learn how many rows are answered in a second."""
        rate = rows / seconds
        self.rate = rate if not self.rate else 0.9 * self.rate + 0.1 * rate


def _lanes(backbone: Backbone) -> int:
    """Return how many threads compute."""
    several = backbone.device.type == "cpu" and backbone.short_pass is not None
    return min(COMPUTING, torch.get_num_threads()) if several else 1


def _answer(prepared: Prepared, outputs: np.ndarray | Exception) -> None:
    """Give computed rows to their job, and tell when it is complete."""
    job = prepared.piece.job
    if isinstance(outputs, Exception):
        _fail(job, outputs)
        return
    try:
        complete = job.add(prepared.piece, outputs, prepared.encoded)
    except Exception as error:
        _fail(job, error)
        return
    if complete:
        try:
            job.future.set_result(job)
        except InvalidStateError:  # cancelled meanwhile
            return


def _fail(job: Job, error: Exception) -> None:
    try:
        job.future.set_exception(resource_error(error) or error)
    except InvalidStateError:
        return
