"""Attacks folds, reports by class, files of predictions and further splits with random data.

Random data sets with repeated inputs and rare classes must be divided into folds that keep equal
inputs together; random predictions must have the report that plain counting gives; hostile texts
must survive a file of predictions, and none may begin like a formula in CSV; unusable rows must be
exactly those that were spoiled; a writer that is killed must leave the old file or the new one.

usage: python -m scripts.verification.attacks.scores_and_files [--count N] [--kills N] [--seed N]
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.cli.prediction_file import FORMULAS, write_predictions
from taskbank.data.equal_inputs import equal_inputs
from taskbank.data.examples import Examples
from taskbank.data.folds import assign_folds
from taskbank.data.sources import read_usable_inputs
from taskbank.errors import DataError
from taskbank.kinds.class_report import report_classes
from taskbank.kinds.single import SINGLE
from taskbank.runtime.files import write_file

SIGNS = [*"=+-@'\",;\t\n|ab Ü\u200b\u202e\ufeff", "\U0001f600", "=cmd|' /C calc'!A0", "\r\n"]
SPOILED = [None, "", "  ", "\u200b", "\t"]


def main() -> int:
    """Run the attacks; return 1 if a promise broke."""
    parser = script_parser(__doc__)
    parser.add_argument("--count", type=int, default=500, help="attempts of each attack")
    parser.add_argument("--kills", type=int, default=100, help="writers to kill")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.count):
            seed = arguments.seed * 1_000_003 + number
            attack_folds(outcomes, seed)
            attack_report(outcomes, seed)
            attack_file(outcomes, seed, Path(folder))
            attack_rows(outcomes, seed, Path(folder))
        for number in range(arguments.kills):
            attack_writer(outcomes, number, Path(folder) / "killed.csv")
    return outcomes.finish()


def attack_folds(outcomes: Outcomes, seed: int) -> None:
    """Divide a random data set, with repeated inputs and rare classes, into folds."""
    chance = random.Random(seed)
    rows, inputs = chance.randint(2, 200), chance.randint(1, 120)
    texts = tuple(f"text {chance.randint(1, inputs)}" for _ in range(rows))
    classes = chance.randint(1, 20)
    labels = tuple(f"c{int(classes * chance.random() ** 3)}" for _ in range(rows))
    examples = Examples({"text": texts, "label": labels}, "random")
    folds = chance.randint(2, 30)
    try:
        fold_of = assign_folds(examples, "label", labels, folds, seed % 7)
    except DataError:
        fine = folds > len(set(texts))
        outcomes.add("folds refused", f"seed {seed}", broken=not fine)
        return
    groups = equal_inputs(examples, "label")
    together = all(len(set(fold_of[groups == group])) == 1 for group in set(groups))
    complete = set(fold_of.tolist()) == set(range(folds))
    outcomes.add("folds assigned", f"seed {seed}", broken=not (together and complete))


def attack_report(outcomes: Outcomes, seed: int) -> None:
    """Compare the report of random predictions with plain counting."""
    chance = np.random.default_rng(seed)
    size, count = int(chance.integers(1, 80)), int(chance.integers(1, 300))
    targets, predicted = chance.integers(0, size, count), chance.integers(0, size, count)
    labels = [f"class {number}" for number in range(size)]
    report = report_classes(labels, predicted, targets)
    pairs = Counter(zip(targets.tolist(), predicted.tolist(), strict=True))
    cells = {(cell.label, cell.predicted): cell.count for cell in report.cells or ()}
    same = cells == {(labels[one], labels[two]): number for (one, two), number in pairs.items()}
    for number, score in enumerate(report.classes):
        hits = pairs[number, number]
        support, found = int((targets == number).sum()), int((predicted == number).sum())
        same &= score.recall == (hits / support if support else None)
        same &= score.precision == (hits / found if found else None)
    outcomes.add("report equals counting", f"seed {seed}", broken=not same)


def attack_file(outcomes: Outcomes, seed: int, folder: Path) -> None:
    """Write hostile texts in every format and read them again."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = [
        {
            "row": number,
            "text": "".join(chance.choices(SIGNS, k=chance.randint(1, 8))),
            "label": chance.choice(["good", "-bad", "=1+1", "@x"]),
            "score": chance.uniform(-1, 1),
            "probabilities": {"good": chance.random(), "=1+1": chance.random()},
        }
        for number in range(1, chance.randint(2, 12))
    ]
    for ending in (".csv", ".parquet", ".jsonl"):
        path = folder / f"out{ending}"
        write_predictions(path, rows)
        fine = _read_again(path, rows)
        outcomes.add(f"file {ending} holds all", f"seed {seed}", broken=not fine)


def _read_again(path: Path, rows: list[dict[str, Any]]) -> bool:
    """Return whether a file holds the predictions, and nothing that a spreadsheet would run."""
    if path.suffix == ".jsonl":
        # Lines end with a line feed only; splitlines would split at others, too.
        lines = path.read_bytes().decode().split("\n")[:-1]
        return [json.loads(line) for line in lines] == rows
    if path.suffix == ".parquet":
        table = parquet.read_table(path).to_pylist()
        return [row | {"probabilities": dict(row["probabilities"])} for row in table] == rows
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    for row, cells in zip(rows, found, strict=True):
        for name in ("text", "label"):
            marked = row[name].startswith(FORMULAS)
            if cells[name] != ("'" * marked + row[name]) or cells[name].startswith(FORMULAS):
                return False
        if float(cells["score"]) != row["score"]:
            return False
    return True


def attack_rows(outcomes: Outcomes, seed: int, folder: Path) -> None:
    """Spoil random rows of a file of texts: exactly these are refused, named and left out."""
    chance = random.Random(seed)
    texts: list[str | None] = [f"text {number}" for number in range(chance.randint(2, 40))]
    spoiled = sorted(chance.sample(range(len(texts)), chance.randint(1, len(texts))))
    for row in spoiled:
        texts[row] = chance.choice(SPOILED)
    path = folder / "rows.jsonl"
    lines = [json.dumps({"text": text, "id": row}) for row, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    wanted = [row + 1 for row in spoiled]
    try:
        found = read_usable_inputs(str(path), SINGLE.inputs[0], skip=True)
    except DataError:
        outcomes.add("rows: none usable", f"seed {seed}", broken=len(spoiled) < len(texts))
        return
    kept = [row for row in range(1, len(texts) + 1) if row not in wanted]
    fine = list(found.unusable) == wanted and list(found.numbers) == kept
    fine &= [text for (text,) in found.rows] == [texts[row - 1] for row in kept]
    outcomes.add("rows left out", f"seed {seed}", broken=not fine)


def attack_writer(outcomes: Outcomes, number: int, path: Path) -> None:
    """Kill a process while it replaces a file again and again."""
    old, new = b"old" * 1000, b"new" * 300_000
    write_file(path, old)
    writer = os.fork()
    if writer == 0:
        while True:
            write_file(path, new)
            write_file(path, old)
    time.sleep(0.002 + number % 20 / 1000)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    fine = path.read_bytes() in (old, new)
    outcomes.add("killed writer left a whole file", f"kill {number}", broken=not fine)


if __name__ == "__main__":
    sys.exit(main())
