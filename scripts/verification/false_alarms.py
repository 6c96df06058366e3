"""Measures false alarms: how often the verification of an unchanged bank reports anything.

    python scripts/verification/false_alarms.py SUITE --backbone SPEC --output FOLDER
        [--data FOLDER] [--runs 200] [--examples 100]

Adds the tasks of a suite to a bank and verifies it repeatedly: in batches of 1 to 64 examples, on
one thread and on two, all tasks together in mixed batches and every second time one by one, with
the examples in another order each time. Prints the number of tasks by status, the number of
findings, and the largest move of an output as a share of the measured noise. Exits with 1 if any
task is not `ok` or there is any finding.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from tqdm import tqdm

from scripts.shared.arguments import suite_parser
from scripts.verification.suite_bank import copy_bank, shorten, train_suite
from taskbank.backbone.load import load_backbone
from taskbank.runtime.device import pick_device
from taskbank.verify.verify import verify_all

BATCHES = (1, 2, 3, 5, 8, 13, 16, 24, 32, 48, 64)


def main() -> None:
    """Verify the bank again and again, and print the totals."""
    parser = suite_parser(__doc__)
    parser.add_argument("--runs", type=int, default=200, help="number of verifications")
    parser.add_argument("--examples", type=int, default=100, help="most examples per split")
    arguments = parser.parse_args()
    original = train_suite(arguments)
    tasks = [record.task for record in original.adapters()]
    change = partial(shorten, examples=arguments.examples)
    bank = copy_bank(original, arguments.output / "short.db", dict.fromkeys(tasks, change))
    backbone = load_backbone(arguments.backbone, pick_device("cpu"))
    generator = np.random.default_rng(0)
    totals: Counter[str] = Counter()
    largest = 0.0
    for number in tqdm(range(arguments.runs), desc="verifying", mininterval=10):
        torch.set_num_threads(1 + number % 2)
        groups = [tasks] if number // 2 % 2 == 0 else [[task] for task in tasks]
        with varied_batches(BATCHES[number % len(BATCHES)], generator):
            reports = [verify_all(bank, group, backbone=backbone) for group in groups]
        for report in reports:
            totals["findings"] += len(report.findings)
            for task in report.tasks:
                totals[task.status] += 1
                largest = max(largest, (task.shift or 0.0) / (task.noise or 1.0))
    print(f"{arguments.runs} verifications of {len(tasks)} tasks, {dict(totals)}")
    print(f"the largest move of an output was {largest:.2f} times the measured noise")
    sys.exit(set(totals) - {"ok", "findings"} != set() or totals["findings"] > 0)


@contextmanager
def varied_batches(size: int, generator: np.random.Generator) -> Iterator[None]:
    """Let predictions run in batches of another size, those of single tasks in random order.

    Args:
        size: most examples per batch.
        generator: draws the order.
    """

    def shuffled(lengths: np.ndarray, size: int, _tokens: int) -> list[np.ndarray]:
        order = generator.permutation(len(lengths))
        return [order[start : start + size] for start in range(0, len(order), size)]

    with (
        patch("taskbank.model.predict.EVALUATION_BATCH", size),
        patch("taskbank.model.predict.evaluation_batches", shuffled),
        patch("taskbank.model.mixed_batch.INPUTS", size),
    ):
        yield


if __name__ == "__main__":
    main()
