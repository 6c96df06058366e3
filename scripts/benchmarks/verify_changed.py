"""Measures `verify-all --level changed` on a large bank in which nothing has changed.

    python scripts/benchmarks/verify_changed.py FOLDER --backbone SPEC
        [--adapters 1000 10000] [--size 64] [--runs 3]

Fills a SQLite bank in FOLDER with adapters of real size, each with different weights, records a
verification that confirms all of them, and runs the command as a process.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from scripts.benchmarks.processes import run_measured, taskbank_command
from scripts.benchmarks.synthetic_bank import DEFINITION, single_split_adapter
from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown_header, markdown_row
from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter, NewResult, NewVerification
from taskbank.bank.open import create_bank
from taskbank.interchange.export_folder import with_canaries
from taskbank.kinds.single import SINGLE
from taskbank.model.task_model import task_model
from taskbank.runtime.clock import now
from taskbank.runtime.environment import environment
from taskbank.specs import MethodSpec
from taskbank.verify.conditions import Conditions, digest_circumstances

ROWS = 20  # examples per adapter


def main() -> None:
    """Fill the bank to each number of adapters, and measure."""
    parser = script_parser(__doc__)
    parser.add_argument("folder", type=Path, help="holds the bank; existing adapters are kept")
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument(
        "--adapters", type=int, nargs="+", default=[1000, 10_000], help="numbers of adapters"
    )
    parser.add_argument("--size", type=int, default=64, help="adapter size")
    parser.add_argument("--runs", type=int, default=3, help="runs of the command")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    file = arguments.folder / f"changed-{arguments.size}.db"
    url = f"sqlite:///{file}"
    backbone = load_backbone(arguments.backbone, "cpu")
    untrained = Untrained(backbone, arguments.size)
    command = taskbank_command(
        url, "verify-all", "--level", "changed", "--device", "cpu", "--quiet"
    )
    print(markdown_header(["adapters", "bank", "seconds", "peak memory", "predicted again"]))
    for count in arguments.adapters:
        with create_bank(url) as bank:
            for number in tqdm(range(len(bank), count), disable=None):
                bank.put(untrained.adapter(number))
            record_verification(bank, backbone)
        costs = [run_measured(command) for _ in range(arguments.runs)]
        seconds = [cost["seconds"] for cost in costs]
        memory = max(cost["memory"] for cost in costs)
        with create_bank(url) as bank:
            last = bank.verification_log.verifications()[-1]
        cells = [
            f"{count:,}",
            f"{file.stat().st_size / 1e6:,.0f} MB",
            f"{min(seconds):.1f} to {max(seconds):.1f}",
            f"{memory:,.0f} MiB",
            str(last.checked - (last.confirmed or 0)),
        ]
        print(markdown_row(cells), flush=True)


class Untrained:
    """Makes adapters of real size without training."""

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.backbone = backbone
        options = plugins.load("methods", "houlsby").complete({"size": size})
        self.method = MethodSpec("houlsby", options)
        model = task_model(backbone, SINGLE, DEFINITION, "houlsby", options, seed=0)
        self.tensors = {name: t.numpy().copy() for name, t in model.trained_tensors().items()}
        texts = tuple(f"a text with the number {number}" for number in range(ROWS))
        self.columns = {"text": texts, "label": ("no", "yes") * (ROWS // 2)}
        self.logits = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)

    def adapter(self, number: int) -> NewAdapter:
        """Return an adapter with weights that no other number has."""
        return with_canaries(
            single_split_adapter(
                f"task-{number}",
                self.backbone.identity,
                self.method,
                self.columns,
                self.logits,
                self.tensors | {"head.bias": np.array([number, 0], dtype=np.float32)},
            )
        )


def record_verification(bank: Bank, backbone: Backbone) -> None:
    """Record a full verification that found every adapter unchanged."""
    numerics = Conditions("cpu").numerics
    fingerprint = backbone.identity.fingerprint
    results = tuple(
        NewResult(
            task=record.task,
            version=record.version,
            status="ok",
            metric=record.metric,
            recorded=record.score,
            observed=record.score,
            flips=0,
            examples=ROWS,
            shift=0.0,
            circumstances=digest_circumstances(record, fingerprint, numerics),
            evidence={},
        )
        for record in bank.adapters()
    )
    new = NewVerification(
        level="full",
        ok=True,
        checked=len(results),
        tolerance=1.0,
        environment=environment("cpu"),
        started_at=now(),
        finished_at=now(),
        run=None,
        confirmed=0,
        results=results,
        findings=(),
    )
    bank.verification_log.record(new)


if __name__ == "__main__":
    main()
