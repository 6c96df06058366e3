"""What the benchmarks of verification share: a bank of real tasks, and copies with one change."""

from __future__ import annotations

import argparse
from collections.abc import Callable
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


def bank_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what `real_bank` needs.

    Args:
        description: docstring of the script, whose first line `--help` shows.
    """
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where relative files are")
    return parser


def real_bank(given: argparse.Namespace) -> Bank:
    """Return a bank with the tasks of a suite, trained if they are not there yet.

    Args:
        given: what `bank_parser` has parsed.
    """
    folder = given.output / "original"
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'bank.db'}"
    report = add_tasks(
        url, given.suite, data=given.data, backbone=given.backbone, verify="none", progress=True
    )
    if not report.ok:
        raise SystemExit(f"the tasks could not be added: {report.outcomes}")
    return Bank(url)


def copy_bank(bank: Bank, path: Path, changes: dict[str, Change] | None = None) -> Bank:
    """Return a bank with the same tasks, some of them recorded with something else in them.

    Every digest and seal of the copy fits, as if it had been recorded so in the first place:
    what shows is what its predictions show.

    Args:
        bank: the original.
        path: of the copy, which replaces what is there.
        changes: what becomes of an adapter, by task.
    """
    path.unlink(missing_ok=True)
    copy = create_bank(f"sqlite:///{path}")
    for record in bank.adapters():
        change = (changes or {}).get(record.task)
        new = as_new(bank, record)
        copy.put(new if change is None else change(new))
    return copy


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
        weights=record.weights(),
        environment=record.environment,
    )


def shortened(examples: int) -> Change:
    """Return what keeps only the first examples of each split, with what was predicted for them."""

    def shorten(new: NewAdapter) -> NewAdapter:
        kind: Kind = plugins.load("kinds", new.kind)
        splits, metrics = [], []
        for split in new.splits:
            whole = Examples.from_bytes(split.examples, split.origin)
            some = whole.select(range(min(examples, len(whole))), split.origin)
            rows = kind.examples_of(whole.columns) < len(some)
            logits = load(split.logits)["logits"][rows]
            splits.append(
                replace(
                    split,
                    rows=len(some),
                    examples=some.to_bytes(),
                    logits=save({"logits": logits}),
                )
            )
            metrics += measure(kind, split.name, logits, some.columns, new.definition)
        return with_canaries(replace(new, splits=tuple(splits), metrics=tuple(metrics)))

    return shorten
