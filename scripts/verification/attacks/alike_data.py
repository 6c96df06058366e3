"""Writes data sets whose labels look alike or whose inputs repeat, and checks what is said.

Every random data set has a known number of inputs of train in its test split, equal inputs with
different labels, or two labels that only look different. taskbank must count the first two, keep
equal inputs together when it holds out, and refuse or report the last, before any training.

usage: python -m scripts.verification.attacks.alike_data [--sets N] [--seed N]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import warnings
from pathlib import Path

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank import plugins
from taskbank.data.normal_text import visible_text
from taskbank.data.remarks import Remark
from taskbank.errors import DataError
from taskbank.specs import TaskSpec
from taskbank.training.task_data import TaskData, read_task_data

HIDDEN = ("\u200b", "\ufeff", "\u00ad", "\u2060", "\u200d", "\ufe0f")
Row = dict[str, str]


def main() -> int:
    """Run the attack; return 1 if a promise broke."""
    parser = script_parser(__doc__)
    parser.add_argument("--sets", type=int, default=300, help="number of data sets of each attack")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, outcomes = random.Random(arguments.seed), Outcomes()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("always")
        for number in range(arguments.sets):
            attack_repeats(outcomes, chance, Path(folder), number)
            attack_labels(outcomes, chance, Path(folder), number)
    return outcomes.finish()


def attack_repeats(outcomes: Outcomes, chance: random.Random, folder: Path, number: int) -> None:
    """Repeat inputs in train and in test, differently spelled, and compare the counts."""
    texts = [f"text {number} {place} {chance.random()}" for place in range(chance.randint(10, 60))]
    train = [
        {"text": disguised(chance, text), "label": chance.choice("ab")}
        for text in texts
        for _ in range(chance.randint(1, 6))
    ]
    train += [{"text": f"one {label}", "label": label} for label in "ab"]
    repeated = [{"text": disguised(chance, chance.choice(texts)), "label": "a"} for _ in range(7)]
    test = repeated[: chance.randint(0, 7)] + [{"text": f"new {n}", "label": "b"} for n in range(3)]
    data = read(folder, train, test)
    held, kept = (
        {plain(text) for text in part.columns["text"]} for part in (data.validation, data.train)
    )
    expected = sum(plain(row["text"]) in kept for row in test)
    labels: dict[str, set[str]] = {}
    for row in (*train, *test):
        labels.setdefault(plain(row["text"]), set()).add(row["label"])
    contradictory = sum(len(own) > 1 for own in labels.values())
    for name, right in (
        ("held-out inputs apart", not held & kept),
        ("inputs in train counted", data.repeats["in_train"]["test"] == expected),
        ("contradictions counted", data.repeats["contradictions"]["inputs"] == contradictory),
    ):
        outcomes.add(name if right else f"not {name}", f"set {number}", broken=not right)


def attack_labels(outcomes: Outcomes, chance: random.Random, folder: Path, number: int) -> None:
    """Spell one label of one row differently, in train or in test, and see what is said."""
    label = chance.choice(("billing", "caf\u00e9", "42", "true", "stra\u00dfe", "a b"))
    hidden = chance.random() < 0.5
    place = chance.randint(0, len(label))
    other = label[:place] + chance.choice(HIDDEN) + label[place:]
    if not hidden:
        other = f"0{label}" if label.isdecimal() else label.upper()
    train = [{"text": f"t{n}", "label": (label, "else")[n % 2]} for n in range(30)]
    test = [{"text": f"u{n}", "label": "else"} for n in range(10)]
    side, name = chance.choice(((train, "train"), (test, "test")))
    row = chance.randrange(len(side))
    side[row]["label"] = other
    attempt = f"set {number}: {label!r} as {other!a} in {name} row {row + 1}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read(folder, train, test)
        except DataError as error:
            said, outcome = str(error), "refused"
        else:
            said = " ".join(str(w.message) for w in caught if issubclass(w.category, Remark))
            outcome = "reported"
    right = f"row {row + 1:,} of" in said and ascii(other) in said
    right = right and (outcome == "refused" or not hidden)
    outcomes.add(outcome if right else "silent", attempt, broken=not right)


def disguised(chance: random.Random, text: str) -> str:
    """Return a text that looks like another one."""
    place = chance.randint(0, len(text))
    return chance.choice(
        (text, text.upper(), f" {text}", text[:place] + chance.choice(HIDDEN) + text[place:])
    )


def plain(text: str) -> str:
    """Return what equal inputs have in common."""
    return visible_text(text).casefold()


def read(folder: Path, train: list[Row], test: list[Row]) -> TaskData:
    """Write a data set and return it as a task's data."""
    paths = {}
    for name, rows in (("train", train), ("test", test)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        paths[name] = str(path)
    return read_task_data(
        plugins.load("kinds", "single"), TaskSpec("it", paths["train"], test=paths["test"])
    )


if __name__ == "__main__":
    sys.exit(main())
