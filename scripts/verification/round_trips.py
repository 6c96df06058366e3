"""Sends adapters to peft and AdapterHub and back, and takes adapters that those libraries made.

    python scripts/verification/round_trips.py --backbone SPEC --environments FOLDER
        --output FOLDER

Trains small tasks on the encoder, pooled as it comes and with its own pooler, for whole texts and
for words. Each is exported, loaded in an environment of its own by the other library alone, and
imported again; the other library makes one of each, too, which is imported and verified. Prints a
table of the largest differences, and exits with 1 if a promise broke: bytes and digests are the
same after the round trip, and outputs differ by at most 1e-5.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import taskbank
from scripts.benchmarks.peers import ROOT, backbone_folder, peer_python, run_worker
from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord

PEERS = {
    "peft": ("peft", "peft_checkpoints.py", ("lora", "ia3", "layernorm")),
    "adapterhub": (
        "adapters",
        "adapters_checkpoints.py",
        ("houlsby", "pfeiffer", "parallel", "lora"),
    ),
}
BOUND = 1e-5  # of the difference of an output, computed by two libraries
MAX_LENGTH = 64
TRAINING = {"epochs": 1, "max_length": MAX_LENGTH, "learning_rate": 0.003}
SENTENCE_FILES = ("1_Pooling", "2_Normalize", "modules.json", "sentence_bert_config.json")


@dataclass(frozen=True)
class Case:
    """One adapter's way out and back, or in.

    Attributes:
        format: `peft` or `adapterhub`.
        pooling: how the backbone pools: `mean` or `pooler`.
        kind: the task's kind, `single` or `tagging`.
        method: the method of adaptation.
    """

    format: str
    pooling: str
    kind: str
    method: str

    @property
    def name(self) -> str:
        """A name for tasks and folders."""
        return "-".join(vars(self).values())

    @property
    def label(self) -> str | None:
        """The column of its labels; None if it has the name of its kind."""
        return "topic" if self.kind == "single" else None

    @property
    def task_type(self) -> str:
        """What peft calls the task."""
        if self.kind == "tagging":
            return "TOKEN_CLS"
        return "SEQ_CLS" if self.pooling == "pooler" else "FEATURE_EXTRACTION"


@dataclass(frozen=True)
class Found:
    """What one case gave; see the columns of `table`."""

    case: Case
    same_bytes: bool
    back: float
    alone: float
    made: float
    verified: bool

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        good = self.same_bytes and self.back == 0 and self.verified
        return good and self.alone <= BOUND and self.made <= BOUND


def main() -> None:
    """Make every round trip, print the table and write it as JSON."""
    parser = script_parser(__doc__)
    parser.add_argument("--backbone", required=True, metavar="SPEC", help="encoder of every side")
    parser.add_argument(
        "--environments",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="the other libraries' virtual environments; missing ones are created",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    found = list(round_trips(arguments))
    print(table(found))
    results = [{"case": one.case.name} | vars(one) | {"case": vars(one.case)} for one in found]
    (arguments.output / "round_trips.json").write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(0 if all(one.ok for one in found) else 1)


def table(found: list[Found]) -> str:
    """Return the results as a Markdown table."""
    header = [
        *("format", "pooling", "kind", "method", "same bytes", "logits after the round trip"),
        *("loaded by the other library", "made by it, imported", "verified"),
    ]
    lines = [
        [
            *vars(one.case).values(),
            "yes" if one.same_bytes else "NO",
            f"{one.back:.1e}" if one.back else "0.0",
            f"{one.alone:.1e}",
            f"{one.made:.1e}",
            "ok" if one.verified else "NO",
        ]
        for one in found
    ]
    return markdown([header, *lines])


def round_trips(arguments: argparse.Namespace) -> Iterator[Found]:
    """Yield what each case gave."""
    output: Path = arguments.output
    encoder = backbone_folder(arguments.backbone)
    pooled = output / "with-pooler"
    shutil.rmtree(pooled, ignore_errors=True)
    shutil.copytree(encoder, pooled, ignore=lambda _folder, _names: set(SENTENCE_FILES))
    data = _data(output)
    for pooling, folder in (("mean", encoder), ("pooler", pooled)):
        url = f"sqlite:///{output}/{pooling}.db"
        (output / f"{pooling}.db").unlink(missing_ok=True)
        taskbank.init(url, str(folder))
        with taskbank.open(url) as bank:
            (known,) = bank.backbones()
            if known.identity.pooling != pooling:
                raise SystemExit(
                    f"{folder} pools by {known.identity.pooling!r}, not {pooling!r}: give a BERT "
                    "of sentence-transformers with mean pooling and a trained pooler"
                )
            for format, (_, _, methods) in PEERS.items():
                cases = [
                    Case(format, pooling, kind, method)
                    for kind in ("single", "tagging")
                    for method in methods
                ]
                yield from _round_trips(cases, bank, folder, data, arguments)


def _data(output: Path) -> dict[str, tuple[str, str]]:
    """Return files of training and test rows for each kind, from the example of the guides."""
    found = {}
    for name in ("tickets", "tickets-test"):
        with (ROOT / "docs" / "examples" / f"{name}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        words = [row["text"].split() for row in rows]
        tagged = [
            {"words": one, "tags": ["long" if len(word) > 4 else "short" for word in one]}
            for one in words
        ]
        path = output / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in tagged), encoding="utf-8")
        found[name] = (str(ROOT / "docs" / "examples" / f"{name}.csv"), str(path))
    single, tagging = zip(found["tickets"], found["tickets-test"], strict=True)
    return {"single": single, "tagging": tagging}


def _round_trips(
    cases: list[Case],
    bank: Bank,
    base: Path,
    data: dict[str, tuple[str, str]],
    arguments: argparse.Namespace,
) -> Iterator[Found]:
    """Yield what the cases of one format and one backbone gave."""
    peer, worker, _ = PEERS[cases[0].format]
    python = peer_python(arguments.environments, peer)
    sent = {case: _send(case, bank, *data[case.kind], arguments.output) for case in cases}
    jobs = [_job(case, bank, base, arguments.output) for case in cases]
    place = arguments.output / f"{cases[0].format}-{cases[0].pooling}"
    answers = run_worker(python, worker, {"cases": jobs, "threads": 1}, place)
    for case in cases:
        record, answer = bank[case.name], answers[case.name]
        made = taskbank.import_adapter(
            bank,
            arguments.output / case.name / "made",
            name=f"{case.name}-made",
            kind=case.kind,
            test=data[case.kind][1],
            label=case.label,
            label_names=record.labels,
            max_length=MAX_LENGTH,
        )
        reference, back = bank.reference(record, "test"), sent[case]
        yield Found(
            case=case,
            same_bytes=back.digest == record.digest and bank.weights(back) == bank.weights(record),
            back=_difference(bank.reference(back, "test"), reference),
            alone=_difference(answer["load"], reference),
            made=_difference(answer["make"], bank.reference(made, "test")),
            verified=taskbank.verify_all(bank, tasks=[back.task, made.task]).ok,
        )


def _send(case: Case, bank: Bank, train: str, test: str, output: Path) -> AdapterRecord:
    """Train a task, export it, and return what was imported again."""
    shutil.rmtree(output / case.name, ignore_errors=True)
    frozen = {"layernorms": "frozen"} if case.method == "houlsby" else {}
    sizes = {"size": 48} if case.method in ("houlsby", "pfeiffer", "parallel") else {}
    taskbank.add_task(
        bank,
        case.name,
        train,
        test=test,
        label=case.label,
        kind=case.kind,
        method=case.method,
        options=sizes | frozen,
        training=TRAINING,
        verify="none",
    )
    folder = output / case.name / "exported"
    taskbank.export_adapter(bank, case.name, folder, format=case.format)
    return taskbank.import_adapter(
        bank, folder, name=f"{case.name}-back", test=test, label=case.label
    )


def _job(case: Case, bank: Bank, base: Path, output: Path) -> dict[str, Any]:
    """Return what the other library is to do."""
    record = bank[case.name]
    columns = bank.examples(record, "test").columns
    return {
        "name": case.name,
        "exported": str(output / case.name / "exported"),
        "made": str(output / case.name / "made"),
        "base": str(base),
        "pooling": case.pooling,
        "texts": [list(one) for one in columns["words"]]
        if case.kind == "tagging"
        else columns["text"],
        "max_length": MAX_LENGTH,
        "outputs": len(record.labels),
        "labels": list(record.labels),
        "method": case.method,
        "task_type": case.task_type,
    }


def _difference(one: Any, other: np.ndarray) -> float:
    return float(np.abs(np.asarray(one, dtype=np.float32) - other).max())


if __name__ == "__main__":
    main()
