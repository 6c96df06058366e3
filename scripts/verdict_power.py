"""How often a verification calls a task regressed, by simulation of its answers.

    python scripts/verdict_power.py [--runs N] [--seed N]

An example flips for the worse with the probability d + r/2 and for the better with r/2: d is the
true drop, r the churn that a harmless change brings along. What is printed:

1. Power: how often the gate fires for n examples and a drop of d, alone and among 1,000 tasks
   of which the others did not drop.
2. False alarms: of verifications of 1,000 tasks that did not drop, how many call any of them
   regressed, for McNemar's test, and for F1 with the paired permutation test that is used and
   the paired bootstrap that is not.

The verdicts are those of `taskbank.verify.verdict`, and nothing here decides anything itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from taskbank.verify.compare import Comparison
from taskbank.verify.significance import SIGNIFICANT
from taskbank.verify.statistics import mcnemar, paired_permutation
from taskbank.verify.verdict import Evidence, judge

EXAMPLES = (100, 300, 1000, 3000)
DROPS = (0.0, 0.005, 0.01, 0.02, 0.05)
CHURN = 0.01
TASKS = 1000
RIGHT = 0.85  # share of right answers before anything changed
F1_EXAMPLES, F1_CHURN = 300, 0.02
POSITIVE = 0.3  # share of the class that F1 is about
FAMILIES = 10  # verifications of tasks with F1
BOOTSTRAP = 2000


def evidence(examples: int, drop: float, p_value: float) -> Evidence:
    """Return the evidence of a task whose metric dropped."""
    split: Any = SimpleNamespace(name="test", rows=examples)
    record: Any = SimpleNamespace(
        task="task", version=1, metric="accuracy", score=RIGHT, split="test", ref="task@1"
    )
    metrics = {"accuracy": (RIGHT, RIGHT - drop)}
    own = Comparison(split, "accuracy", metrics, 1.0, 1e-5, 1, 0, (), p_value, ())
    return Evidence(record, (own,))


def regressed(found: Sequence[Evidence], tolerance: float = 1.0) -> np.ndarray:
    """Return which of the tasks of one verification are called regressed."""
    _, results = judge(found, tolerance=tolerance)
    return np.array([result.status == "regressed" for result in results])


def flips(
    generator: np.random.Generator, examples: int, drop: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many examples flip for the worse, and for the better, in many verifications."""
    worse, better = drop + CHURN / 2, CHURN / 2
    drawn = generator.multinomial(examples, [worse, better, 1 - worse - better], size=size)
    return drawn[:, 0], drawn[:, 1]


def power(generator: np.random.Generator, runs: int) -> None:
    """Print how often the gate fires."""
    print(f"## Power: share of {runs:,} verifications in which the task is regressed\n")
    print("| examples | true drop | alone | tolerance 0.01 | among 1,000 tasks |")
    print("| --- | --- | --- | --- | --- |")
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
            # The corrected probability of one task among many that are well is m times its own.
            among = np.mean([one.own.p_value * TASKS < SIGNIFICANT for one in found])
            print(
                f"| {examples:,} | {100 * drop:g} points | {alone:.1%} | {lenient:.1%} "
                f"| {among:.1%} |",
                flush=True,
            )


def false_alarms(generator: np.random.Generator, runs: int) -> None:
    """Print how many verifications of many tasks that did not drop find one that did."""
    print(f"\n## False alarms of verifications of {TASKS:,} tasks that did not drop\n")
    print("| examples | metric and test | verifications | with any alarm | tasks with p < 5 % |")
    print("| --- | --- | --- | --- | --- |")
    for examples in EXAMPLES:
        table = []
        for _ in range(runs):
            worse, better = flips(generator, examples, 0.0, TASKS)
            pairs = zip(worse.tolist(), better.tolist(), strict=True)
            table.append([mcnemar(w, b) for w, b in pairs])
        _print_alarms(examples, "accuracy, McNemar (used)", table)
    for name, test in (("permutation (used)", _permuted), ("bootstrap", _bootstrapped)):
        table = [
            [test(generator, *_answers(generator)) for _ in range(TASKS)] for _ in range(FAMILIES)
        ]
        _print_alarms(F1_EXAMPLES, f"F1, {name}", table)


def _print_alarms(examples: int, name: str, table: Sequence[Sequence[float]]) -> None:
    alarms = [regressed([evidence(examples, 0.01, p) for p in row]).any() for row in table]
    below = np.mean(np.array(table) < SIGNIFICANT)
    shown = f"| {examples:,} | {name} | {len(table):,} | {np.mean(alarms):.1%} | {below:.1%} |"
    print(shown, flush=True)


def _answers(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets and answers before and after a change that is as likely either way."""
    target = generator.random(F1_EXAMPLES) < POSITIVE
    answers = np.where(generator.random(F1_EXAMPLES) < RIGHT, target, ~target)
    flipped = generator.random(F1_EXAMPLES) < F1_CHURN
    earlier = generator.random(F1_EXAMPLES) < 0.5
    return target, answers ^ (flipped & earlier), answers ^ (flipped & ~earlier)


def _permuted(
    _generator: np.random.Generator, target: np.ndarray, before: np.ndarray, after: np.ndarray
) -> float:
    """Return what the test that is used says of a drop in F1."""
    flipped = np.flatnonzero(before != after)

    def score(now: np.ndarray) -> float:
        mixed = before.copy()
        mixed[flipped[now]] = after[flipped[now]]
        return _f1(target, mixed)

    dropped = _f1(target, after) < _f1(target, before)
    return paired_permutation(len(flipped), score) if dropped else 1.0


def _bootstrapped(
    generator: np.random.Generator, target: np.ndarray, before: np.ndarray, after: np.ndarray
) -> float:
    """Return the share of resampled sets of examples on which a drop in F1 vanishes."""
    if _f1(target, after) >= _f1(target, before):
        return 1.0
    rows = generator.integers(0, len(target), size=(BOOTSTRAP, len(target)))
    hits = [(target & one)[rows].sum(axis=1) for one in (before, after)]
    total = [target[rows].sum(axis=1) + one[rows].sum(axis=1) for one in (before, after)]
    scores = [2 * h / np.maximum(t, 1) for h, t in zip(hits, total, strict=True)]
    return float(np.mean(scores[1] >= scores[0]))


def _f1(target: np.ndarray, answers: np.ndarray) -> float:
    return float(2 * (target & answers).sum() / max(target.sum() + answers.sum(), 1))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    power(generator, arguments.runs)
    false_alarms(generator, max(arguments.runs // 10, 1))


if __name__ == "__main__":
    main()
