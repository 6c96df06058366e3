"""A bank with the trained tasks of a suite, and copies of it with something changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.numpy import load, save

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.open import create_bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.examples import Examples
from taskbank.interchange.export_folder import with_canaries
from taskbank.kinds.kind import Kind
from taskbank.pipeline.suite import add_tasks
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure

Change = Callable[[NewAdapter], NewAdapter]


def train_suite(arguments: argparse.Namespace) -> Bank:
    """Return a bank with the tasks of a suite; train only those that are missing.

    Args:
        arguments: from `scripts.shared.arguments.suite_parser`.
    """
    folder = arguments.output / "original"
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'bank.db'}"
    report = add_tasks(
        url,
        arguments.suite,
        data=arguments.data,
        backbone=arguments.backbone,
        verify="none",
        progress=True,
    )
    if not report.ok:
        raise SystemExit(f"the tasks could not be added: {report.outcomes}")
    return Bank(url)


def copy_bank(bank: Bank, path: Path, changes: Mapping[str, Change] | None = None) -> Bank:
    """Return a copy of a bank, with changes to some adapters.

    All digests and seals of the copy are consistent, as if the changed adapters had been recorded
    in the first place: only predictions can reveal a change.

    Args:
        bank: the original.
        path: the copy's file; an existing file is replaced.
        changes: a change for the adapters of a task, by task.
    """
    path.unlink(missing_ok=True)
    copy = create_bank(f"sqlite:///{path}")
    for record in bank.adapters():
        new = as_new(bank, record)
        change = (changes or {}).get(record.task)
        copy.put(change(new) if change else new)
    return copy


def as_new(bank: Bank, record: AdapterRecord) -> NewAdapter:
    """Return a stored adapter in the form in which it can be stored again."""
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
                split.name,
                split.origin,
                split.rows,
                bank.blob(split.digest),
                bank.blob(split.predictions),
                split.canary,
            )
            for split in record.splits
        ),
        parameters=record.parameters,
        weights=bank.weights(record),
        environment=record.environment,
    )


def shorten(new: NewAdapter, examples: int) -> NewAdapter:
    """Return an adapter with only the first examples of each split, and their predictions.

    Args:
        new: the adapter.
        examples: most examples per split.
    """
    kind: Kind = plugins.load("kinds", new.kind)
    splits, metrics = [], []
    for split in new.splits:
        whole = Examples.from_bytes(split.examples, split.origin)
        first = whole.select(range(min(examples, len(whole))), split.origin)
        rows = kind.examples_of(whole.columns) < len(first)
        logits = load(split.logits)["logits"][rows]
        splits.append(
            replace(
                split,
                rows=len(first),
                examples=first.to_bytes(),
                logits=save({"logits": logits}),
            )
        )
        metrics += measure(kind, split.name, logits, first.columns, new.definition)
    return with_canaries(replace(new, splits=tuple(splits), metrics=tuple(metrics)))
