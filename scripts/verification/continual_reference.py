"""Computes measures of continual learning with Avalanche, as references for taskbank's tests.

    python scripts/verification/continual_reference.py > tests/history/continual_reference.json

Run it in a separate environment: `pip install avalanche-lib` has many requirements that taskbank
does not have.
"""

from __future__ import annotations

import json
import random
from typing import Any

from avalanche.evaluation.metrics import BWT, Forgetting, ForwardTransfer

SIZES = (2, 3, 6, 10)  # tasks


def main() -> None:
    """Print random score matrices with their measures."""
    generator = random.Random(0)
    references = []
    for size in SIZES:
        scores = [[round(generator.random(), 6) for _ in range(size)] for _ in range(size)]
        untrained = [round(generator.random(), 6) for _ in range(size)]
        references.append({"scores": scores, "untrained": untrained, **measures(scores, untrained)})
    print(json.dumps(references, indent=1))


def measures(scores: list[list[float]], untrained: list[float]) -> dict[str, Any]:
    """Return Avalanche's measures of a matrix, each averaged over the tasks that have it.

    Args:
        scores: the score of each task (column) after each task was added (row).
        untrained: each task's score without any training.
    """
    forgetting, backward, forward = Forgetting(), BWT(), ForwardTransfer()
    last = len(scores) - 1
    for task in range(last):
        for metric in (forgetting, backward):
            metric.update(task, scores[task][task], initial=True)
            metric.update(task, scores[last][task])
    for task in range(1, last + 1):
        forward.update(task, untrained[task], initial=True)
        forward.update(task, scores[task - 1][task])
    return {
        "forgetting": mean(forgetting.result()),
        "backward_transfer": mean(backward.result()),
        "forward_transfer": mean(forward.result()),
    }


def mean(values: dict[int, float]) -> float:
    """Return the mean over tasks."""
    return sum(values.values()) / len(values)


if __name__ == "__main__":
    main()
