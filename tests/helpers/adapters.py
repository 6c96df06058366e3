"""Makes adapters without training, for tests of what is stored rather than what is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors.numpy import save
from safetensors.torch import save as save_tensors

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.rows import insert_row
from taskbank.bank.catalog.tables import ByteCheckRow
from taskbank.bank.new_records import (
    NewAdapter,
    NewResult,
    NewScoredSplit,
    NewSplit,
    NewTrial,
    NewVerification,
)
from taskbank.bank.records import AdapterRecord, FindingRecord
from taskbank.data.examples import Examples
from taskbank.data.row_digests import RowDigests, digests_of
from taskbank.data.tokenization import encode
from taskbank.digests import Json, digest_bytes
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.model.predict import predict_outputs
from taskbank.model.stored_model import StoredModel
from taskbank.runtime.clock import now
from taskbank.specs import BackboneIdentity, MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure
from taskbank.verify.verify import verify_all

LABELS = ("bad", "good")
DEFINITION = Definition(LABELS, {"positive": "good"})
HIDDEN = 4


def identity(name: str = "one") -> BackboneIdentity:
    """Return the identity of a backbone that is nowhere."""
    digests = [digest_bytes(f"{name} {part}".encode()) for part in ("weights", "config", "words")]
    settings = {"truncation_side": "right", "token_type_ids": True, "max_length": 64}
    return BackboneIdentity(
        f"./{name}", "bert", "mean", 1000, HIDDEN, 2, 64, *digests, settings=settings
    )


def new_adapter(task: str = "mood", *, seed: int = 0, **changes: Any) -> NewAdapter:
    """Return an adapter with weights, a test split and predictions that fit together."""
    generator = np.random.default_rng(seed)
    weights = {
        "head.weight": generator.normal(size=(2, HIDDEN)).astype(np.float32),
        "head.bias": np.zeros(2, dtype=np.float32),
    }
    texts = tuple(f"text {seed} {number}" for number in range(10))
    targets = generator.integers(0, 2, 10)
    examples = Examples({"text": texts, "label": tuple(LABELS[t] for t in targets)}, "test.csv")
    logits = generator.normal(size=(10, 2)).astype(np.float32)
    metrics = tuple(measure(SINGLE, "test", logits, examples.columns, DEFINITION))
    values: dict[str, Any] = {
        "task": task,
        "kind": "single",
        "backbone": identity(),
        "method": MethodSpec("houlsby", {"size": 8, "init_std": 0.01, "activation": "gelu"}),
        "training": TrainingSpec(),
        "definition": DEFINITION,
        "metric": "accuracy",
        "split": "test",
        "metrics": metrics,
        "splits": (
            NewSplit("test", "test.csv", 10, examples.to_bytes(), save({"logits": logits}), (0, 3)),
        ),
        "parameters": sum(tensor.size for tensor in weights.values()),
        "weights": save(weights),
        "environment": {"torch": "2.0"},
        "course": {"seconds": 1.5},
        "request": digest_bytes(f"request {task} {seed}".encode()),
        "description": "is it good?",
        "tags": {"team": "search"},
    }
    return NewAdapter(**(values | changes))


def training_rows(train: Examples) -> dict[str, Any]:
    """Return the fields of an adapter that keeps its training rows."""
    digests = RowDigests.of(digests_of(train, "label"))
    return {"row_digests": digests.to_bytes(), "kept_rows": train.to_bytes()}


def put_model(
    bank: Bank,
    task: str,
    model: StoredModel,
    options: Mapping[str, Json],
    *,
    count: int = 10,
    shift: float = 0.0,
    new_version: bool = False,
    row_digests: bytes | None = None,
) -> AdapterRecord:
    """Record a model of kind `single` as a task, with what it predicts of some texts as its
    reference, maybe shifted; equal names give equal texts."""
    generator = np.random.default_rng(list(task.encode()))
    words = ["good", "bad", "film", "day", task]
    texts = tuple(" ".join(generator.choice(words, size=1 + n % 7)) for n in range(count))
    examples = Examples({"text": texts, "label": LABELS * (count // 2)}, "test.csv")
    encoded = encode(model.backbone.tokenizer, examples.columns, ("text",), 16)
    logits = predict_outputs(model, encoded) + np.float32(shift) * np.eye(2, dtype=np.float32)[0]
    tensors = {name: tensor.contiguous() for name, tensor in model.trained_tensors().items()}
    split = NewSplit("test", "test.csv", count, examples.to_bytes(), save({"logits": logits}), (0,))
    new = new_adapter(
        task,
        backbone=model.backbone.identity,
        method=MethodSpec("houlsby", plugins.load("methods", "houlsby").complete(options)),
        training=TrainingSpec(max_length=16, ensemble=len(model.members)),
        metrics=tuple(measure(SINGLE, "test", logits, examples.columns, DEFINITION)),
        splits=(split,),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        weights=save_tensors(tensors),
        row_digests=row_digests,
    )
    return bank.put(new, new_version=new_version)


def new_scored_split(name: str = "june", *, seed: int = 5) -> NewScoredSplit:
    """Return a further split for an adapter that `new_adapter` made."""
    adapter = new_adapter(seed=seed)
    split = replace(adapter.splits[0], name=name, origin="june.csv")
    metrics = tuple(replace(metric, split=name) for metric in adapter.metrics)
    return NewScoredSplit(split, metrics)


def new_trial(task: str = "mood", *, seed: int = 0, **changes: Any) -> NewTrial:
    """Return a trial with its weights kept; equal seeds give equal specifications."""
    adapter = new_adapter(task, seed=seed)
    values: dict[str, Any] = {
        "task": task,
        "kind": "single",
        "backbone": adapter.backbone,
        "specification": digest_bytes(f"{task} {seed}".encode()),
        "method": adapter.method,
        "training": TrainingSpec(seed=seed),
        "data": {"train": {"origin": "train.csv", "rows": 90, "digest": digest_bytes(b"train")}},
        "definition": DEFINITION,
        "status": "complete",
        "metric": "accuracy",
        "score": adapter.score,
        "metrics": adapter.metrics,
        "parameters": adapter.parameters,
        "weights": adapter.weights,
        "environment": {"torch": "2.0"},
        "course": {"seconds": 1.5, "best_epoch": 0, "epochs": [], "truncated": {}},
        "request": digest_bytes(b"request"),
    }
    return NewTrial(**(values | changes))


def record_finding(bank: Bank, ref: str = "mood") -> int:
    """Record a verification that found something in every way a finding can be, and accept it."""
    record = bank[ref]
    run = bank.verification_log.start_run("full", [record.task], {"torch": "2.0"})
    circumstances = digest_bytes(b"as they were")
    for split in record.splits:
        other = bank.reference(record, split.name) + np.float32(1)
        bank.verification_log.observe(run, [(record, circumstances, {split.name: (other, 1e-5)})])
    result = NewResult(
        task=record.task,
        version=record.version,
        status="changed",
        metric=record.metric,
        recorded=record.score,
        observed=record.score,
        flips=0,
        examples=10,
        shift=1.0,
        circumstances=circumstances,
        evidence={"noise": 1e-5, "p_value": 1.0},
    )
    new = NewVerification(
        level="full",
        ok=False,
        checked=1,
        tolerance=0.0,
        environment={},
        started_at=now(),
        finished_at=now(),
        run=run,
        confirmed=0,
        results=(result,),
        findings=(FindingRecord(record.task, 1, "row", "made by a test"),),
    )
    number = bank.verification_log.record(new)
    bank.accept(record.ref, number, "a test wants it")
    bank.set_tolerance(record.task, 0.01)
    return number


def record_byte_check(bank: Bank) -> None:
    """Record that the bytes of an adapter were checked, as is done beside an object store."""
    with write_transaction(bank._engine) as connection:
        values = {"of_table": "adapters", "row_id": 1, "state": digest_bytes(b"state")}
        insert_row(connection, ByteCheckRow, values | {"checked_at": now()})


def fill_every_table(bank: Bank, *, newest: bool = True) -> Bank:
    """Give a bank at least one row in every table, and return it.

    Args:
        bank: an empty bank.
        newest: whether to fill the tables that older schemas do not have.
    """
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    bank.alias("mood@2", "production")
    bank.remove("mood@1")
    if newest:
        bank.put_split("mood@2", new_scored_split())
        record_byte_check(bank)
    bank.put_trial(new_trial(seed=9))
    verify_all(bank, level="integrity")
    record_finding(bank)
    return bank


def as_new(bank: Bank, record: AdapterRecord) -> NewAdapter:
    """Return a stored adapter as one that is to be stored."""
    return NewAdapter(
        task=record.task,
        kind=record.kind,
        backbone=bank.backbone(record.backbone).identity,
        method=MethodSpec(record.method, record.options),
        training=TrainingSpec(**record.training),
        definition=record.definition,
        metric=record.metric,
        split=record.split,
        metrics=record.metrics,
        splits=tuple(
            NewSplit(
                one.name,
                one.origin,
                one.rows,
                bank.blob(one.digest),
                bank.blob(one.predictions),
                one.canary,
            )
            for one in record.splits
        ),
        parameters=record.parameters,
        weights=bank.weights(record),
        environment=record.environment,
        course=record.course,
        request=record.request,
        row_digests=None if record.row_digests is None else bank.blob(record.row_digests),
        kept_rows=None if record.kept_rows is None else bank.blob(record.kept_rows),
    )
