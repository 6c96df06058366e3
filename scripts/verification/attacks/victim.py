"""Makes a small bank with a row in every table, for the attacks on stored rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scripts.benchmarks.synthetic_bank import make_adapter
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewResult, NewScoredSplit, NewTrial, NewVerification
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord, FindingRecord
from taskbank.digests import digest_bytes
from taskbank.runtime.clock import now
from taskbank.specs import TrainingSpec

TASKS = ("one", "two", "three")


def make_victim(url: str) -> Bank:
    """Create a bank in which every table has two rows at least, except the bank's own table."""
    bank = create_bank(url)
    for number, task in enumerate(TASKS):
        bank.put(make_adapter(4 * number, task))
        bank.put(make_adapter(4 * number + 1, task), new_version=True)
        bank.put_trial(_trial(4 * number + 2, task))
        bank.alias(f"{task}@1", "production")
        bank.alias(f"{task}@2", "production")
        bank.set_tolerance(task, 0.01)
    for number, name in ((101, "four"), (102, "five")):
        other = make_adapter(number, name)
        weights, settings = digest_bytes(name.encode()), {"truncation_side": "right"}
        known = replace(other.backbone, weights=weights, settings=settings)
        bank.put(replace(other, backbone=known))
        split, metrics = other.splits[0], other.metrics
        further = replace(split, name="june")
        own = tuple(replace(one, split="june") for one in metrics if one.split == split.name)
        bank.put_split(name, NewScoredSplit(further, own))
    for ref in ("one@1", "two@1"):
        bank.drop_alias(ref[:3], "production")
        bank.remove(ref)
    for task in ("one", "three"):
        _record_verification(bank, bank[f"{task}@2"])
    return bank


def _trial(number: int, task: str) -> NewTrial:
    new = make_adapter(number, task)
    return NewTrial(
        task=task,
        kind=new.kind,
        backbone=new.backbone,
        specification=digest_bytes(f"{task} {number}".encode()),
        method=new.method,
        training=TrainingSpec(),
        data={"train": {"origin": "made", "rows": 90, "digest": digest_bytes(task.encode())}},
        definition=new.definition,
        status="complete",
        metric=new.metric,
        score=new.score,
        metrics=new.metrics,
        parameters=new.parameters,
        weights=new.weights,
        environment=new.environment,
        course={"seconds": 1.5, "epochs": []},
        request=digest_bytes(f"request {number}".encode()),
    )


def _record_verification(bank: Bank, record: AdapterRecord) -> None:
    log = bank.verification_log
    run = log.start_run("full", [record.task], {"torch": "2.8.0"})
    circumstances = digest_bytes(record.task.encode())
    for split in record.splits:
        other = bank.reference(record, split.name) + np.float32(1)
        log.observe(run, [(record, circumstances, {split.name: (other, 1e-5)})])
    results = tuple(
        NewResult(
            task=record.task,
            version=version,
            status="changed",
            metric=record.metric,
            recorded=record.score,
            observed=record.score,
            flips=0,
            examples=20,
            shift=1.0,
            circumstances=circumstances,
            evidence={"noise": 1e-5, "p_value": 1.0},
        )
        for version in (1, record.version)
    )
    findings = tuple(
        FindingRecord(record.task, version, "row", f"made for version {version}")
        for version in (1, record.version)
    )
    number = log.record(
        NewVerification(
            level="full",
            ok=False,
            checked=2,
            tolerance=0.0,
            environment={"torch": "2.8.0"},
            started_at=now(),
            finished_at=now(),
            run=run,
            confirmed=0,
            results=results,
            findings=findings,
        )
    )
    bank.accept(record.ref, number, "an attack needs it")
