"""Measures what to train with where nothing is said: rates and epochs for each method and size.

    python scripts/defaults.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]
        [--rows 500 3000] [--methods houlsby lora] [--precision bfloat16]

Each task of the suite is trained with every rate and number of epochs, on so many rows of its
train; the score is the task's metric on other rows of it, the same for every size, relative to the
best that any setting of any method reached on the task with as many rows. FOLDER/defaults.md has
the mean over tasks; what is best there is what `taskbank/defaults.py` says. Every training is a
trial of the bank FOLDER/bank.db, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from paper import Experiment
from paper_tables import write_csv

from taskbank import plugins
from taskbank.backbone.load import load_backbone
from taskbank.bank.open import create_bank
from taskbank.data.sources import read_examples
from taskbank.data.splits import hold_out, sample
from taskbank.errors import TrainingError
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.runtime.device import pick_device

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

# Around what each method's authors use, a factor of about three apart.
RATES = {
    "houlsby": (3e-4, 1e-3, 3e-3),
    "pfeiffer": (3e-4, 1e-3, 3e-3),
    "parallel": (3e-4, 1e-3, 3e-3),
    "lora": (3e-4, 1e-3, 3e-3),
    "ia3": (1e-3, 3e-3, 1e-2),
    "bitfit": (1e-3, 3e-3, 1e-2),
    "layernorm": (1e-3, 3e-3, 1e-2),
    "top-k": (3e-5, 1e-4, 3e-4),
    "full": (3e-5, 1e-4, 3e-4),
}
EPOCHS = (10, 20)
SCORED = 500  # rows, or half of train where that is less
SEED = 0


def main() -> None:
    """Train everything that is not there yet, and write the table after each method."""
    arguments = _arguments()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
    backbone = load_backbone(arguments.backbone, pick_device(arguments.device))
    found: list[dict[str, object]] = []
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        for rows in arguments.rows:
            given = {"precision": arguments.precision} if arguments.precision else {}
            parts = [_cut(entry, rows, output / "data") for entry in entries]
            experiment = Experiment(bank, backbone, parts, 1, given, output, False)
            for method in arguments.methods:
                found += _measured(experiment, method, rows)
                write_csv(output / "defaults.csv", found)
                (output / "defaults.md").write_text(_table(found), encoding="utf-8")
    print(f"the table is {output / 'defaults.md'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--backbone", required=True, metavar="SPEC")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where relative files are")
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 3000])
    parser.add_argument("--methods", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--device")
    return parser.parse_args()


def _cut(entry: Entry, rows: int, folder: Path) -> Entry:
    """Return a task with so many rows of its train, scored on others of it; test is left alone."""
    kind: Kind = plugins.load("kinds", entry.values.get("kind", "single"))
    names = {key: entry.values.get(key) for key in ("text", "text_pair")}
    examples = read_examples(
        entry.values["train"],
        kind.inputs,
        kind.label,
        label_column=entry.values.get("label"),
        **names,
    )
    strata = kind.strata(examples.columns)
    rest, scored = hold_out(examples, strata, min(SCORED / len(examples), 0.5), SEED)
    rest = sample(rest, kind.strata(rest.columns), rows, SEED)
    folder.mkdir(parents=True, exist_ok=True)
    values = {k: v for k, v in entry.values.items() if k not in (*names, "label", "test", "rows")}
    for name, part in (("train", rest), ("validation", scored)):
        path = folder / f"{entry.name}.{rows}.{name}.jsonl"
        path.write_bytes(part.to_bytes())
        values[name] = str(path)
    return replace(entry, values=values)


def _measured(experiment: Experiment, method: str, rows: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for entry in experiment.entries:
        for rate in RATES[method]:
            for epochs in EPOCHS:
                plan = experiment.plan(entry, method, learning_rate=rate, epochs=epochs)
                try:
                    score = experiment.run(plan).value("validation")
                except TrainingError:
                    score = 0.0
                found.append(
                    {
                        "rows": rows,
                        "method": method,
                        "task": plan.name,
                        "learning_rate": rate,
                        "epochs": epochs,
                        "score": score,
                    }
                )
    return found


def _table(found: list[dict[str, object]]) -> str:
    best: dict[tuple[object, object], float] = defaultdict(float)
    for row in found:
        key = row["rows"], row["task"]
        best[key] = max(best[key], _score(row))
    groups: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for row in found:
        short = _score(row) - best[row["rows"], row["task"]]
        groups[row["rows"], row["method"], row["learning_rate"], row["epochs"]].append(short)
    lines = [
        "| rows | method | rate | epochs | tasks | points short of the best |",
        "|" + "---|" * 6,
    ]
    for (rows, method, rate, epochs), shorts in groups.items():
        own = [mean(v) for k, v in groups.items() if k[:2] == (rows, method)]
        value = f"{100 * mean(shorts):.2f}"
        shown = f"**{value}**" if mean(shorts) == max(own) else value
        lines.append(f"| {rows} | {method} | {rate:g} | {epochs} | {len(shorts)} | {shown} |")
    return "\n".join(lines) + "\n"


def _score(row: dict[str, object]) -> float:
    return float(str(row["score"]))


if __name__ == "__main__":
    main()
