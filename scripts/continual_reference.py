"""Computes the measures of continual learning with Avalanche, for the test of taskbank's own.

    python scripts/continual_reference.py > tests/history/continual_reference.json

Needs an environment of its own with `pip install avalanche-lib`, which wants much that taskbank
does not.
"""

from __future__ import annotations

import json
import random
from typing import Any

from avalanche.evaluation.metrics import BWT, Forgetting, ForwardTransfer

SIZES = (2, 3, 6, 10)


def measures(scores: list[list[float]], untrained: list[float]) -> dict[str, Any]:
    """Return what Avalanche says of a matrix, as means over the tasks that have each measure."""
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
    """Return the mean of a result a task."""
    return sum(values.values()) / len(values)


def main() -> None:
    """Print matrices with their measures."""
    drawn = random.Random(0)
    found = []
    for size in SIZES:
        scores = [[round(drawn.random(), 6) for _ in range(size)] for _ in range(size)]
        untrained = [round(drawn.random(), 6) for _ in range(size)]
        found.append({"scores": scores, "untrained": untrained, **measures(scores, untrained)})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
