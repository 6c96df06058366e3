"""How often a verification of an untouched bank finds anything: it must be never.

    python scripts/false_alarms.py SUITE --backbone SPEC --output FOLDER [--data FOLDER]
        [--runs N] [--examples N]

Adds the tasks of a suite to a bank, then verifies it again and again: with batches of 1 to 64
examples, on one thread and on two, the examples in another order each time. Prints how many
verifications had a finding or a task that is not `ok`, and how near rounding came to the noise
that was measured. Exits with 1 if there was any.
"""

from __future__ import annotations

import sys
from collections import Counter
from unittest.mock import patch

import numpy as np
import torch
from real_bank import bank_parser, copy_bank, real_bank, shortened
from tqdm import tqdm

from taskbank.backbone.load import load_backbone
from taskbank.runtime.device import pick_device
from taskbank.verify.verify import verify_all

BATCHES = (1, 2, 3, 5, 8, 13, 16, 24, 32, 48, 64)


def main() -> None:
    """Print what was found."""
    parser = bank_parser(__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--examples", type=int, default=100, help="of each split, at most")
    arguments = parser.parse_args()
    original = real_bank(arguments)
    shorten = shortened(arguments.examples)
    tasks = [record.task for record in original.adapters()]
    bank = copy_bank(original, arguments.output / "short.db", dict.fromkeys(tasks, shorten))
    backbone = load_backbone(arguments.backbone, pick_device("cpu"))
    generator = np.random.default_rng(0)
    found: Counter[str] = Counter()
    nearest = 0.0

    def batches(lengths: np.ndarray, size: int) -> list[np.ndarray]:
        order = generator.permutation(len(lengths))
        return [order[start : start + size] for start in range(0, len(order), size)]

    for number in tqdm(range(arguments.runs), desc="verifying", mininterval=10):
        torch.set_num_threads(1 + number % 2)

        with (
            patch("taskbank.model.predict.EVALUATION_BATCH", BATCHES[number % len(BATCHES)]),
            patch("taskbank.evaluate.evaluation_batches", batches),
        ):
            report = verify_all(bank, backbone=backbone)
        for task in report.tasks:
            found[task.status] += 1
            nearest = max(nearest, (task.shift or 0.0) / (task.noise or 1.0))
        found["findings"] += len(report.findings)
    print(f"{arguments.runs} verifications of {len(tasks)} tasks, {dict(found)}")
    print(f"the largest move was {nearest:.2f} of the noise that was measured for it")
    sys.exit(set(found) - {"ok", "findings"} != set() or found["findings"] > 0)


if __name__ == "__main__":
    main()
