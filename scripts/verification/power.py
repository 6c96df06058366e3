"""Measures the statistical power of a verification, by simulating flipped predictions.

    python scripts/verification/power.py [--runs 2000] [--seed 0]

An example flips for the worse with probability d + r/2 and for the better with r/2, where d is the
true drop and r the churn of a harmless change. Prints:

1. Power: how often a task with n examples and a drop of d is called regressed, alone and as one of
   1,000 tasks of which no other drops.
2. False alarms: how many verifications of 1,000 tasks without a drop call any task regressed; for
   accuracy with McNemar's test, and for F1 with the paired permutation test, which taskbank uses,
   and with the paired bootstrap, which it does not use.

The verdicts come from `taskbank.verify.verdict`; the script decides nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from scripts.shared.arguments import script_parser
from scripts.shared.tables import markdown_header, markdown_row
from taskbank.verify.compare import Comparison
from taskbank.verify.significance import SIGNIFICANCE_LEVEL
from taskbank.verify.statistics import mcnemar, paired_permutation
from taskbank.verify.subject import Subject
from taskbank.verify.verdict import Evidence, Standard, judge

EXAMPLES = (100, 300, 1000, 3000)
DROPS = (0.0, 0.005, 0.01, 0.02, 0.05)
CHURN = 0.01
TASKS = 1000
ACCURACY = 0.85  # before the change
F1_EXAMPLES, F1_CHURN = 300, 0.02
POSITIVE = 0.3  # share of the positive class
F1_RUNS = 10  # verifications of tasks with F1
RESAMPLES = 2000


def main() -> None:
    """Print both tables."""
    parser = script_parser(__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="verifications per row")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    print_power(generator, arguments.runs)
    print_false_alarms(generator, max(arguments.runs // 10, 1))


def evidence(examples: int, drop: float, p_value: float) -> Evidence:
    """Return the evidence of a task whose accuracy dropped.

    Args:
        examples: number of examples of its split.
        drop: of the accuracy.
        p_value: of the drop.
    """
    split: Any = SimpleNamespace(name="test", rows=examples)
    subject = Subject(1, "task", 1, "", "accuracy", ACCURACY, "test", examples)
    metrics = {"accuracy": (ACCURACY, ACCURACY - drop)}
    own = Comparison(
        split, "accuracy", metrics, 1.0, 1e-5, None, 1, 0, 0, Counter(), (), None, p_value, ()
    )
    return Evidence(subject, (own,))


def regressed(found: Sequence[Evidence], tolerance: float = 1.0) -> np.ndarray:
    """Return, for each task of a verification, whether it is called regressed."""
    _, results = judge(found, Standard(tolerance))
    return np.array([result.status == "regressed" for result in results])


def flips(
    generator: np.random.Generator, examples: int, drop: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw how many examples flip for the worse and for the better in each verification.

    Args:
        generator: source of randomness.
        examples: number of examples per verification.
        drop: true drop of the accuracy.
        size: number of verifications.
    """
    worse, better = drop + CHURN / 2, CHURN / 2
    drawn = generator.multinomial(examples, [worse, better, 1 - worse - better], size=size)
    return drawn[:, 0], drawn[:, 1]


def print_power(generator: np.random.Generator, runs: int) -> None:
    """Print how often a task that drops is called regressed."""
    print(f"## Power: share of {runs:,} verifications in which the task is regressed\n")
    columns = ["examples", "true drop", "alone", "tolerance 0.01", "among 1,000 tasks"]
    print(markdown_header(columns))
    for examples in EXAMPLES:
        for drop in DROPS:
            found = [
                evidence(examples, (w - b) / examples, mcnemar(w, b))
                for w, b in zip(
                    *(side.tolist() for side in flips(generator, examples, drop, runs)),
                    strict=True,
                )
            ]
            alone = np.mean([regressed([one])[0] for one in found])
            lenient = np.mean([regressed([one], 0.01)[0] for one in found])
            # Corrected for m tasks of which no other drops, a p-value is multiplied by m.
            among = np.mean(
                [one.main_comparison.p_value * TASKS < SIGNIFICANCE_LEVEL for one in found]
            )
            shares = [f"{share:.1%}" for share in (alone, lenient, among)]
            row = markdown_row([f"{examples:,}", f"{100 * drop:g} points", *shares])
            print(row, flush=True)


def print_false_alarms(generator: np.random.Generator, runs: int) -> None:
    """Print how many verifications of tasks without a drop call any of them regressed."""
    print(f"\n## False alarms in verifications of {TASKS:,} tasks without a drop\n")
    columns = [
        "examples",
        "metric and test",
        "verifications",
        "with an alarm",
        "tasks with p < 5 %",
    ]
    print(markdown_header(columns))
    for examples in EXAMPLES:
        p_values = []
        for _ in range(runs):
            worse, better = flips(generator, examples, 0.0, TASKS)
            pairs = zip(worse.tolist(), better.tolist(), strict=True)
            p_values.append([mcnemar(w, b) for w, b in pairs])
        _print_alarms(examples, "accuracy, McNemar (used)", p_values)
    for name, test in (("permutation (used)", _permuted), ("bootstrap", _bootstrapped)):
        p_values = [
            [test(generator, *_answers(generator)) for _ in range(TASKS)] for _ in range(F1_RUNS)
        ]
        _print_alarms(F1_EXAMPLES, f"F1, {name}", p_values)


def _print_alarms(examples: int, name: str, p_values: Sequence[Sequence[float]]) -> None:
    alarms = [regressed([evidence(examples, 0.01, p) for p in row]).any() for row in p_values]
    below = np.mean(np.array(p_values) < SIGNIFICANCE_LEVEL)
    shares = [f"{share:.1%}" for share in (np.mean(alarms), below)]
    print(markdown_row([f"{examples:,}", name, f"{len(p_values):,}", *shares]), flush=True)


def _answers(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw targets, and predictions before and after a change without a direction."""
    target = generator.random(F1_EXAMPLES) < POSITIVE
    answers = np.where(generator.random(F1_EXAMPLES) < ACCURACY, target, ~target)
    flipped = generator.random(F1_EXAMPLES) < F1_CHURN
    earlier = generator.random(F1_EXAMPLES) < 0.5
    return target, answers ^ (flipped & earlier), answers ^ (flipped & ~earlier)


def _permuted(
    _generator: np.random.Generator, target: np.ndarray, before: np.ndarray, after: np.ndarray
) -> float:
    """Return the p-value of a drop in F1 by the paired permutation test."""
    flipped = np.flatnonzero(before != after)

    def score(now: np.ndarray) -> float:
        mixed = before.copy()
        mixed[flipped[now]] = after[flipped[now]]
        return _f1(target, mixed)

    dropped = _f1(target, after) < _f1(target, before)
    if not dropped:
        return 1.0
    return paired_permutation(len(flipped), lambda rows: np.array([score(now) for now in rows]))


def _bootstrapped(
    generator: np.random.Generator, target: np.ndarray, before: np.ndarray, after: np.ndarray
) -> float:
    """Return the p-value of a drop in F1 by the paired bootstrap: resamples without a drop."""
    if _f1(target, after) >= _f1(target, before):
        return 1.0
    rows = generator.integers(0, len(target), size=(RESAMPLES, len(target)))
    hits = [(target & one)[rows].sum(axis=1) for one in (before, after)]
    total = [target[rows].sum(axis=1) + one[rows].sum(axis=1) for one in (before, after)]
    scores = [2 * h / np.maximum(t, 1) for h, t in zip(hits, total, strict=True)]
    return float(np.mean(scores[1] >= scores[0]))


def _f1(target: np.ndarray, answers: np.ndarray) -> float:
    return float(2 * (target & answers).sum() / max(target.sum() + answers.sum(), 1))


if __name__ == "__main__":
    main()
