"""Predicts rows with versions of tasks: in this process, or by jobs on workers.

A job is a block of a `Predictor`: the blocks, and so the bits of the answers, depend neither on
where they are computed nor on the number of workers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.backbone.load import absolute_spec
from taskbank.bank.records import AdapterRecord
from taskbank.digests import Json
from taskbank.kinds.kind import input_fields
from taskbank.serve.inputs import input_rows
from taskbank.serve.model_cache import MEMORY
from taskbank.serve.prediction import Prediction
from taskbank.serve.predictor import BLOCK, TASKS, Inputs, Predictor
from taskbank.specs import BackboneIdentity
from taskbank.workers.executor import executor_for

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.workers.job import Executor
    from taskbank.workers.worker import Worker

Rows = Sequence[tuple[Json, ...]]


@dataclass(frozen=True)
class PredictRows:
    """Predicts rows with versions of one backbone: a job.

    Attributes:
        refs: the full names of the versions.
        rows: the rows.
        first: the position of the first row in the file.
        backbone: the backbone of the versions.
        source: where to load it from; None means the recorded place.
        device: the device to compute on.
        memory: maximum size of the adapters that are kept for the next job, in bytes.
    """

    refs: tuple[str, ...]
    rows: Rows
    first: int
    backbone: BackboneIdentity
    source: str | None
    device: str
    memory: int

    @property
    def name(self) -> str:
        """The numbers of the rows."""
        return f"inputs {self.first + 1:,} to {self.first + len(self.rows):,}"

    @property
    def size(self) -> int:
        """Number of predictions."""
        return len(self.refs) * len(self.rows)

    def run(self, worker: Worker) -> list[list[Prediction]]:
        """Return the predictions of each version; see `Job.run`."""
        backbone = worker.backbone(self.backbone, self.device, self.source)
        predictor = worker.keep(
            Predictor, lambda: Predictor(worker.bank, backbone=backbone, memory=self.memory)
        )
        found = predictor.predict_many([(ref, self.rows) for ref in self.refs])
        worker.advance(self.size)
        return found


def predict_rows(
    bank: Bank,
    records: Sequence[AdapterRecord],
    rows: Rows,
    *,
    backbone: str | None = None,
    device: str | None = None,
    executor: str | None = None,
    progress: bool = False,
) -> list[list[Prediction]]:
    """Return the predictions of several versions for the same rows, one list per version.

    Args:
        bank: an open bank.
        records: the versions, which take inputs with the same number of texts.
        rows: one tuple per input.
        backbone: source to load the backbone from; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        executor: where to compute: `ray` or `ray://HOST:PORT`; None means this process.
        progress: whether workers' progress is shown if stderr is a terminal.

    Raises:
        DataError: if the rows do not suit a version.
        BackboneMismatchError: if the backbone differs from the recorded one.
        DamagedError: if stored rows or bytes differ from what was recorded.
        UnreachableError: if the cluster cannot be reached.
    """
    if executor is not None:  # so that an error has the number of its input, and no worker starts
        for record in records:
            plugins.load("kinds", record.kind).parse(rows, record.definition)
    answers: dict[str, list[Prediction]] = {record.ref: [] for record in records}
    with executor_for(executor, bank, device=device) as workers:
        jobs = _jobs(bank, records, rows, backbone, workers.pick_device(device), workers)
        found: dict[int, list[list[Prediction]]] = {}
        show = progress and not workers.in_process
        for finished in workers.run(jobs, caption="predicting", unit="prediction", progress=show):
            if finished.error is not None and not workers.in_process:
                error = finished.error
                raise type(error)(f"{jobs[finished.index].name}: {error}")
            found[finished.index] = finished.get()
    for index, job in enumerate(jobs):
        for ref, predictions in zip(job.refs, found[index], strict=True):
            answers[ref] += predictions
    return [answers[record.ref] for record in records]


def _jobs(
    bank: Bank,
    records: Sequence[AdapterRecord],
    rows: Rows,
    backbone: str | None,
    device: str,
    workers: Executor,
) -> list[PredictRows]:
    by_backbone: dict[str, list[str]] = defaultdict(list)
    for record in {record.ref: record for record in records}.values():
        by_backbone[record.backbone].append(record.ref)
    memory = MEMORY if len(rows) > BLOCK else 0  # else each adapter is used once
    # In this process, a single job prepares a block while the one before is computed.
    tasks, block = (len(records), len(rows)) if workers.in_process else (TASKS, BLOCK)
    jobs = []
    for fingerprint, refs in by_backbone.items():
        identity = bank.backbone(fingerprint).identity
        source = None
        if backbone is not None and not identity.is_from(backbone):
            source = absolute_spec(backbone)  # workers have another working directory
        for task in range(0, len(refs), tasks):
            own = tuple(refs[task : task + tasks])
            for first in range(0, len(rows), block):
                part = rows[first : first + block]
                jobs.append(PredictRows(own, part, first, identity, source, device, memory))
    return jobs


def predict(
    bank: Bank,
    ref: str,
    inputs: Inputs,
    *,
    backbone: str | None = None,
    device: str | None = None,
    executor: str | None = None,
) -> list[Prediction]:
    """Predict with one task, once; a `Predictor` keeps the backbone loaded between calls.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        inputs: see `Predictor.predict_many`, which also documents the result and the errors.
        backbone: source to load the backbone from; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        executor: where to compute: `ray` or `ray://HOST:PORT`; None means this process.
    """
    record = bank[ref]
    rows = input_rows(inputs, input_fields(plugins.load("kinds", record.kind), record.definition))
    return predict_rows(bank, [record], rows, backbone=backbone, device=device, executor=executor)[
        0
    ]
