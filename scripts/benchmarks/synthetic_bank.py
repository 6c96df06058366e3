"""Synthetic adapters, and banks filled with many of them, without any training.

`fill` inserts the rows that real adapters would have. Every task has four versions, two splits of
its own and an alias; every adapter has three tags and four metrics per split. Every tenth task has
its blobs (weights, examples, predictions); of the others, only the digests are in the bank. The
first version of every tenth task is retired. `verify` records verifications of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save
from sqlalchemy import Connection, func, insert, select, text
from tqdm import tqdm

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.adapters import adapter_values, children_of
from taskbank.bank.catalog.backbones import add_backbone
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.rows import insert_children, insert_rows
from taskbank.bank.catalog.tables import (
    CHILDREN,
    AdapterRow,
    AliasRow,
    BlobRow,
    RetirementRow,
    SplitRow,
    TaskRow,
)
from taskbank.bank.new_records import NewAdapter, NewResult, NewSplit, NewVerification
from taskbank.bank.records import FindingRecord, MetricRecord
from taskbank.data.examples import Examples
from taskbank.digests import digest_bytes
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.runtime.clock import now
from taskbank.specs import BackboneIdentity, MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure

VERSIONS = 4  # per task
WITH_BLOBS = 10  # one task in this many has its blobs
RETIRED = 10  # one task in this many has its first version retired
TEAMS = 20
ALIAS = "production"
BATCH = 2000  # adapters per transaction: whole tasks
HIDDEN = 384
ROWS = 20  # examples per split

BACKBONE = BackboneIdentity(
    "./nowhere", "bert", "mean", 22_000_000, HIDDEN, 12, 512,
    *(digest_bytes(part) for part in (b"weights", b"config", b"tokenizer")),
)  # fmt: skip
DEFINITION = Definition(("no", "yes"), {"positive": "yes"})
METRICS = ("accuracy", "f1_macro", "matthews", "log_loss")
ENVIRONMENT = {
    "python": "3.12.3", "torch": "2.8.0", "transformers": "5.1.0", "tokenizers": "0.22.1",
    "device": "cpu", "threads": 2, "seconds": 271.8, "platform": "Linux-6.8.0-x86_64",
}  # fmt: skip
WEIGHTS = {
    "adapter.down": np.random.default_rng(0).normal(size=(8, HIDDEN)).astype(np.float32),
    "adapter.up": np.random.default_rng(1).normal(size=(HIDDEN, 8)).astype(np.float32),
    "head.weight": np.random.default_rng(2).normal(size=(2, HIDDEN)).astype(np.float32),
}
LOGITS = np.random.default_rng(3).normal(size=(ROWS, 2)).astype(np.float32)


def task_of(number: int) -> str:
    """Return the task of an adapter, given the adapter's number."""
    return f"task-{number // VERSIONS:06}"


def has_blobs(number: int) -> bool:
    """Return whether an adapter has its blobs in the bank."""
    return number // VERSIONS % WITH_BLOBS == 0


def make_adapter(number: int, task: str | None = None) -> NewAdapter:
    """Return an adapter with two splits; equal numbers give equal adapters.

    Args:
        number: counted from 0.
        task: the task's name (default: `task_of(number)`).
    """
    draw = random.Random(number)
    accuracy = draw.uniform(0.5, 1)
    values = (accuracy, accuracy - draw.uniform(0, 0.02), 2 * accuracy - 1, 1 - accuracy)
    name = task or task_of(number)
    metrics = [
        MetricRecord(split, metric, value - shift, 0.01, ROWS)
        for split, shift in (("validation", 0.01), ("test", 0.0))
        for metric, value in zip(METRICS, values, strict=True)
    ]
    weights = WEIGHTS | {"head.bias": np.array([number, 0], dtype=np.float32)}
    return NewAdapter(
        task=name,
        kind="single",
        backbone=BACKBONE,
        method=MethodSpec("houlsby", {"size": 8, "init_std": 0.01, "activation": "gelu"}),
        training=TrainingSpec(seed=number % VERSIONS),
        definition=DEFINITION,
        metric="accuracy",
        split="test",
        metrics=tuple(metrics),
        splits=(_split("validation", name, number), _split("test", name, number + 1)),
        parameters=sum(tensor.size for tensor in weights.values()),
        weights=save(weights),
        environment=ENVIRONMENT,
        tags={
            "team": f"team-{draw.randrange(TEAMS)}",
            "language": draw.choice(("de", "en", "fr")),
            "tier": str(draw.randrange(3)),
        },
    )


def _split(split: str, task: str, number: int) -> NewSplit:
    texts = tuple(f"{split} text {row} of {task}" for row in range(ROWS))
    examples = Examples({"text": texts, "label": ("no", "yes") * (ROWS // 2)}, "made.csv")
    logits = save({"logits": LOGITS + np.float32(number)})
    canary = tuple(range(16))
    return NewSplit(split, "made.csv", ROWS, examples.to_bytes(), logits, canary)


def single_split_adapter(
    task: str,
    backbone: BackboneIdentity,
    method: MethodSpec,
    columns: Mapping[str, tuple[str, ...]],
    logits: np.ndarray,
    tensors: Mapping[str, np.ndarray],
    *,
    training: TrainingSpec = TrainingSpec(),  # noqa: B008 - frozen
) -> NewAdapter:
    """Return an adapter for `DEFINITION` with one split, `test`, and no canaries.

    Args:
        task: its name.
        backbone: identity of the backbone.
        method: adapter method and options.
        columns: `text` and `label` of the examples.
        logits: reference predictions, examples x 2.
        tensors: the adapter's weights.
        training: its hyperparameters.
    """
    examples = Examples(dict(columns), "made")
    return NewAdapter(
        task=task,
        kind="single",
        backbone=backbone,
        method=method,
        training=training,
        definition=DEFINITION,
        metric="accuracy",
        split="test",
        metrics=tuple(measure(SINGLE, "test", logits, examples.columns, DEFINITION)),
        splits=(
            NewSplit("test", "made", len(examples), examples.to_bytes(), save({"logits": logits})),
        ),
        parameters=sum(tensor.size for tensor in tensors.values()),
        weights=save(dict(tensors)),
        environment={},
    )


def fill(bank: Bank, count: int) -> None:
    """Bring a bank that only this function has filled to a number of adapters.

    Args:
        bank: the bank.
        count: number of adapters, retired ones included; a multiple of `VERSIONS`.
    """
    with bank._engine.connect() as connection:
        present = connection.execute(select(func.count(AdapterRow.id))).scalar_one()
    for start in tqdm(range(present, count, BATCH), unit_scale=BATCH, disable=None):
        numbers = range(start, min(start + BATCH, count))
        with write_transaction(bank._engine) as connection:
            _insert_tasks(connection, numbers)
    analyze(bank)


def verify(bank: Bank, count: int) -> None:
    """Bring a filled bank to a number of verifications, of which the last checked every adapter.

    The others checked the newest version of each task. One result in a hundred is a change, one in
    a thousand a regression with a finding.

    Args:
        bank: a bank that `fill` has filled.
        count: number of verifications.
    """
    newest = bank.verification_log.newest(limit=1)
    present = newest[0].id if newest else 0
    with bank._engine.connect() as connection:
        adapters = connection.execute(select(func.count(AdapterRow.id))).scalar_one()
    for number in tqdm(range(present, count), disable=None):
        every = number == count - 1
        numbers = range(0 if every else VERSIONS - 1, adapters, 1 if every else VERSIONS)
        results = tuple(_result(n, number) for n in numbers if not _is_retired(n))
        findings = tuple(
            FindingRecord(r.task, r.version, "regression", "accuracy fell by 0.06: train it again")
            for r in results
            if r.status == "regressed"
        )
        at = f"2026-11-{number + 1:02}T06:30:00.000000+00:00"
        bank.verification_log.record(
            NewVerification(
                level="full", ok=not findings, checked=len(results), tolerance=0.0,
                environment=ENVIRONMENT, started_at=at, finished_at=at, run=None, confirmed=0,
                results=results, findings=findings,
            )
        )  # fmt: skip
    analyze(bank)


def _result(number: int, verification: int) -> NewResult:
    draw = random.Random(number * 1000 + verification).random()
    drop = 0.06 if draw < 0.001 else 0.004 if draw < 0.01 else 0.0
    status = {0.06: "regressed", 0.004: "changed"}.get(drop, "ok")
    score = random.Random(number).uniform(0.5, 1)  # as `make_adapter` draws it
    flips = round(drop * 500)
    evidence = {
        "noise": 1e-6, "within_noise": 0, "negative_flips": flips, "positive_flips": 0,
        "p_value": 4.2e-7 if drop > 0.05 else 1.0,
        "metrics": {"test": {"accuracy": [score, score - drop]}},
    }  # fmt: skip
    return NewResult(
        task_of(number), number % VERSIONS + 1, status, "accuracy", score, score - drop, flips,
        ROWS, 1e-5, None, evidence,
    )  # fmt: skip


def _is_retired(number: int) -> bool:
    """Return whether an adapter is the first version of a task that has it retired."""
    return number % (VERSIONS * RETIRED) == VERSIONS


def analyze(bank: Bank) -> None:
    """Give PostgreSQL the statistics that autovacuum would soon give it."""
    if bank._engine.dialect.name == "postgresql":
        with bank._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def insert_adapters(
    connection: Connection, made: Sequence[NewAdapter], versions: Sequence[int]
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Insert the rows of adapters of new tasks, one statement per table, without their blobs.

    Args:
        connection: a write transaction.
        made: the adapters, all of one backbone and kind.
        versions: the version of each.

    Returns:
        the ids of the tasks by name, and the rows of the adapters.
    """
    backbone = add_backbone(connection, made[0].backbone)
    names = list(dict.fromkeys(new.task for new in made))
    tasks = {"kind": made[0].kind, "created_at": now()}
    task_ids = insert_rows(connection, TaskRow, [{"name": name} | tasks for name in names])
    ids = dict(zip(names, task_ids, strict=True))
    children = [children_of(new) for new in made]
    rows = [
        adapter_values(new, ids[new.task], version, backbone, own)
        for version, new, own in zip(versions, made, children, strict=True)
    ]
    adapters = insert_rows(connection, AdapterRow, rows)
    splits = {digest_bytes(s.examples): s for new in made for s in new.splits}
    insert_rows(
        connection,
        SplitRow,
        [
            {"digest": digest, "rows": s.rows, "bytes": len(s.examples), "created_at": now()}
            for digest, s in splits.items()
        ],
    )
    families = dict(zip(adapters, children, strict=True))
    insert_children(connection, AdapterRow, families, CHILDREN)
    return ids, rows


def _insert_tasks(connection: Connection, numbers: range) -> None:
    """Insert whole tasks with their aliases, retirements and blobs."""
    made = [make_adapter(number) for number in numbers]
    versions = [number % VERSIONS + 1 for number in numbers]
    ids, rows = insert_adapters(connection, made, versions)
    insert_rows(
        connection,
        AliasRow,
        [
            {"task_id": task, "name": ALIAS, "version": version, "set_at": now()}
            for version in (2, VERSIONS)
            for task in ids.values()
        ],
    )
    insert_rows(
        connection,
        RetirementRow,
        [
            {name: row[name] for name in ("task_id", "version", "digest")} | {"retired_at": now()}
            for number, row in zip(numbers, rows, strict=True)
            if _is_retired(number)
        ],
    )
    connection.execute(insert(BlobRow), list(_blobs(numbers, made)))


def _blobs(numbers: range, made: Sequence[NewAdapter]) -> Iterator[Mapping[str, Any]]:
    seen: set[str] = set()
    for number, new in zip(numbers, made, strict=True):
        if has_blobs(number):
            parts = [part for s in new.splits for part in (s.examples, s.logits)]
            for data in (new.weights, *parts):
                digest = digest_bytes(data)
                if digest not in seen:
                    seen.add(digest)
                    yield {"digest": digest, "size": len(data), "data": data}
