"""What `verify-all --level changed` costs on a bank of many tasks that nothing has changed for.

    python scripts/changed_scale.py FOLDER --backbone SPEC [--adapters 1000 10000] [--size 64]

Fills a SQLite bank with adapters of real size, each with weights of its own, records a
verification that found all of them to be as they were, and times the command as a process.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from processes import commandline, cost
from safetensors.numpy import save
from tqdm import tqdm

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import writing
from taskbank.bank.new_records import NewAdapter, NewSplit
from taskbank.bank.open import create_bank
from taskbank.data.examples import Examples
from taskbank.interchange.export_folder import with_canaries
from taskbank.kinds.definition import Definition
from taskbank.model.task_model import task_model
from taskbank.runtime.clock import now
from taskbank.runtime.environment import environment
from taskbank.specs import MethodSpec, TrainingSpec
from taskbank.training.evaluation import measure
from taskbank.verify.conditions import circumstances, conditions

DEFINITION = Definition(("no", "yes"), {"positive": "yes"})


class Maker:
    """Makes adapters of real size without training any."""

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.backbone = backbone
        self.kind = plugins.load("kinds", "single")
        self.options = plugins.load("methods", "houlsby").complete({"size": size})
        model = task_model(backbone, self.kind, DEFINITION, "houlsby", self.options, seed=0)
        self.tensors = {name: t.numpy().copy() for name, t in model.trained().items()}
        texts = tuple(f"a text with the number {number}" for number in range(20))
        columns = {"text": texts, "label": ("no", "yes") * 10}
        self.examples = Examples(columns, "made")
        self.logits = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)

    def make(self, number: int) -> NewAdapter:
        """Return an adapter whose weights no other has."""
        tensors = self.tensors | {"head.bias": np.array([number, 0], dtype=np.float32)}
        metrics = measure(self.kind, "test", self.logits, self.examples.columns, DEFINITION)
        logits = save({"logits": self.logits})
        return with_canaries(
            NewAdapter(
                task=f"task-{number}",
                kind="single",
                backbone=self.backbone.identity,
                method=MethodSpec("houlsby", self.options),
                training=TrainingSpec(),
                definition=DEFINITION,
                metric="accuracy",
                split="test",
                metrics=tuple(metrics),
                splits=(NewSplit("test", "made", 20, self.examples.to_bytes(), logits),),
                parameters=sum(tensor.size for tensor in tensors.values()),
                weights=save(tensors),
                environment={},
            )
        )


def vouch(bank: Bank, backbone: Backbone) -> None:
    """Record a verification that found every adapter to be as it was."""
    numerics = conditions(None, None, "cpu").numerics
    fingerprint = backbone.identity.fingerprint
    results: list[dict[str, Any]] = [
        {
            "task": record.task,
            "version": record.version,
            "status": "ok",
            "metric": record.metric,
            "recorded": record.score,
            "observed": record.score,
            "flips": 0,
            "examples": 20,
            "shift": 0.0,
            "circumstances": circumstances(record, fingerprint, numerics),
            "evidence": None,
        }
        for record in bank.adapters()
    ]
    values = {
        "level": "full",
        "ok": True,
        "checked": len(results),
        "tolerance": 1.0,
        "environment": environment("cpu"),
        "started_at": now(),
        "finished_at": now(),
        "vouched": 0,
    }
    with writing(bank._engine) as connection:
        bank.verifications.add(connection, values, results, [])


def main() -> None:
    """Fill the bank step by step, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument("--adapters", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / f"changed-{given.size}.db"
    backbone = load_backbone(given.backbone, "cpu")
    maker = Maker(backbone, given.size)
    print("| adapters | bank | seconds | largest memory | predicted again |")
    print("| --- | --- | --- | --- | --- |")
    for count in given.adapters:
        with create_bank(f"sqlite:///{file}") as bank:
            for number in tqdm(range(len(bank), count), disable=None):
                bank.put(maker.make(number))
            vouch(bank, backbone)
        arguments = ["verify-all", "--level", "changed", "--device", "cpu", "--quiet"]
        costs = [cost(commandline(f"sqlite:///{file}", *arguments)) for _ in range(given.runs)]
        seconds = [one["seconds"] for one in costs]
        with create_bank(f"sqlite:///{file}") as bank:
            last = bank.verification_log.verifications()[-1]
        memory = max(one["memory"] for one in costs)
        print(
            f"| {count:,} | {file.stat().st_size / 1e6:,.0f} MB | {min(seconds):.1f} to "
            f"{max(seconds):.1f} | {memory:,.0f} MiB | {last['checked'] - last['vouched']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
