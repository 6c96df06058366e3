"""Measures how far outputs differ between batches and numbers of threads on a sound machine.

    python scripts/verification/rounding.py SUITE --backbone SPEC --output FOLDER
        [--data FOLDER] [--examples 32]

Adds the tasks of a suite to a bank. Predicts the first examples of each scored split in batches of
several sizes, in float32 and bfloat16, on one thread and on two. Prints the largest difference of
an output from the prediction in one batch on one thread, relative to the task's largest output.
The limits in `taskbank/verify/rounding.py` must lie well above it.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch

from scripts.shared.arguments import suite_parser
from scripts.shared.tables import markdown_header, markdown_row
from scripts.verification.suite_bank import train_suite
from taskbank import plugins
from taskbank.backbone.load import load_backbone
from taskbank.data.encoded import Encoded
from taskbank.kinds.changes import output_scale
from taskbank.model.load import encode_for, load_model
from taskbank.model.predict import predict_examples
from taskbank.model.stored_model import StoredModel
from taskbank.runtime.device import pick_device
from taskbank.verify.noise import use_threads

DTYPES = (torch.float32, torch.bfloat16)
THREADS = (1, 2)
BATCHES = (1, 3, 8, 32)


def main() -> None:
    """Measure the tasks and print the table."""
    parser = suite_parser(__doc__)
    parser.add_argument("--examples", type=int, default=32, help="most examples per task")
    arguments = parser.parse_args()
    bank = train_suite(arguments)
    backbone = load_backbone(arguments.backbone, pick_device("cpu"))
    largest: dict[tuple[torch.dtype, int], float] = defaultdict(float)
    for record in bank.adapters():
        examples = bank.examples(record, record.split)
        first = examples.select(range(min(arguments.examples, len(examples))), examples.origin)
        encoded = encode_for(record, backbone, first.columns)
        model = load_model(bank, record, backbone)
        for dtype in DTYPES:
            for threads, share in differences(model, record.kind, encoded, dtype).items():
                largest[dtype, threads] = max(largest[dtype, threads], share)
    print(markdown_header(["number type", "threads", "largest difference, relative"]))
    for (dtype, threads), share in largest.items():
        name = str(dtype).removeprefix("torch.")
        print(markdown_row([name, str(threads), f"{share:.2g}"]))


def differences(
    model: StoredModel, kind: str, encoded: Encoded, dtype: torch.dtype
) -> dict[int, float]:
    """Return the largest relative difference of a task's predictions, by number of threads."""

    def predict(threads: int, size: int) -> np.ndarray:
        with use_threads(threads), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            return predict_examples(model, plugins.load("kinds", kind), encoded, size)

    whole = predict(1, len(encoded))
    scale = output_scale(whole)
    return {
        threads: max(float(np.abs(predict(threads, size) - whole).max()) for size in BATCHES)
        / scale
        for threads in THREADS
    }


if __name__ == "__main__":
    main()
