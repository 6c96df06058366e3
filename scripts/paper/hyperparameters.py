"""Measures default hyperparameters: learning rates and epochs by method and dataset size.

    python scripts/paper/hyperparameters.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]
        [--rows 500 3000] [--methods houlsby lora] [--precision bfloat16]

Every task of the suite is trained with every learning rate and number of epochs, on `--rows` rows
of its training split. The score is the task's metric on other rows of that split, the same ones
for every dataset size; it is compared with the best that any method and setting reached on the
task at that size. FOLDER/defaults.md has the mean over tasks; its best settings are those in
`taskbank/training/defaults.py`. Every training is a trial in FOLDER/bank.db, so an interrupted run
continues where it stopped.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from scripts.paper.experiment import Experiment
from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown_header, markdown_row, write_csv
from taskbank import plugins
from taskbank.backbone.load import load_backbone
from taskbank.bank.open import create_bank
from taskbank.data.sources import read_examples
from taskbank.data.splits import hold_out, sample
from taskbank.errors import TrainingError
from taskbank.kinds.kind import Kind
from taskbank.pipeline.suite_file import Entry, read_suite
from taskbank.runtime.device import pick_device

Row = dict[str, Any]

# Around the rates of each method's authors, a factor of about three apart.
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
SCORED = 500  # rows, or half of the training split if that is fewer
SEED = 0


def main() -> None:
    """Train what is missing, and write the table after each method."""
    arguments = _arguments()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    entries = read_suite(arguments.suite, arguments.data or arguments.suite.parent)
    backbone = load_backbone(arguments.backbone, pick_device(arguments.device))
    common = {"precision": arguments.precision} if arguments.precision else {}
    results: list[Row] = []
    with create_bank(f"sqlite:///{output / 'bank.db'}") as bank:
        for rows in arguments.rows:
            parts = [cut_task(entry, rows, output / "data") for entry in entries]
            experiment = Experiment(bank, backbone, parts, 1, common, output)
            for method in arguments.methods:
                results += score_settings(experiment, method, rows)
                write_csv(output / "defaults.csv", results)
                (output / "defaults.md").write_text(table(results), encoding="utf-8")
    print(f"the table is {output / 'defaults.md'}")


def _arguments() -> argparse.Namespace:
    parser = suite_parser(__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[500, 3000], help="numbers of training rows"
    )
    parser.add_argument("--methods", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--device")
    return parser.parse_args()


def cut_task(entry: Entry, rows: int, folder: Path) -> Entry:
    """Return a task that trains on some rows of its training split, and is scored on others.

    Args:
        entry: the task; its test split is not read.
        rows: number of training rows.
        folder: receives the two parts as JSON lines.
    """
    kind: Kind = plugins.load("kinds", entry.values.get("kind", "single"))
    examples = read_examples(
        entry.values["train"],
        kind.inputs,
        kind.label,
        role="train",
        text=entry.values.get("text"),
        text_pair=entry.values.get("text_pair"),
        label_column=entry.values.get("label"),
    )
    strata = kind.strata(examples.columns)
    rest, scored = hold_out(examples, strata, min(SCORED / len(examples), 0.5), SEED)
    rest = sample(rest, kind.strata(rest.columns), rows, SEED)
    folder.mkdir(parents=True, exist_ok=True)
    replaced = ("text", "text_pair", "label", "test", "rows")
    values = {key: value for key, value in entry.values.items() if key not in replaced}
    for name, part in (("train", rest), ("validation", scored)):
        path = folder / f"{entry.name}.{rows}.{name}.jsonl"
        path.write_bytes(part.to_bytes())
        values[name] = str(path)
    return replace(entry, values=values)


def score_settings(experiment: Experiment, method: str, rows: int) -> list[Row]:
    """Return the score of every task with every setting of a method; a failed training has 0."""
    results: list[Row] = []
    for entry in experiment.entries:
        for rate in RATES[method]:
            for epochs in EPOCHS:
                plan = experiment.plan(entry, method, learning_rate=rate, epochs=epochs)
                try:
                    score = float(experiment.run(plan).value("validation") or 0.0)
                except TrainingError:
                    score = 0.0
                results.append(
                    {
                        "rows": rows,
                        "method": method,
                        "task": plan.name,
                        "learning_rate": rate,
                        "epochs": epochs,
                        "score": score,
                    }
                )
    return results


def table(results: list[Row]) -> str:
    """Return a Markdown table of the distance to the best score, the mean over tasks.

    The best setting of each method and number of rows is bold.
    """
    best: dict[tuple[int, str], float] = defaultdict(float)
    for row in results:
        key = row["rows"], row["task"]
        best[key] = max(best[key], row["score"])
    distances: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in results:
        setting = row["rows"], row["method"], row["learning_rate"], row["epochs"]
        distances[setting].append(row["score"] - best[row["rows"], row["task"]])
    lines = [
        markdown_header(["rows", "method", "rate", "epochs", "tasks", "points short of the best"])
    ]
    for (rows, method, rate, epochs), own in distances.items():
        others = [mean(v) for setting, v in distances.items() if setting[:2] == (rows, method)]
        points = f"{100 * mean(own):.2f}"
        points = f"**{points}**" if mean(own) == max(others) else points
        cells = [str(rows), method, f"{rate:g}", str(epochs), str(len(own)), points]
        lines.append(markdown_row(cells))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
