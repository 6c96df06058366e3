"""Measures the machine's rate of matrix products: the highest over several shapes."""

from __future__ import annotations

import torch

from scripts.benchmarks.workers.worker import Job, Run, answer_with_torch, seconds

SHAPES = ((1024, 384, 1536), (1024, 1536, 384), (2048, 2048, 2048))
DURATION = 0.5  # seconds of repetitions per shape


def measure(job: Job) -> Run:
    """Return FLOPs per second by number type."""
    return {
        name: max(_rate(shape, getattr(torch, name)) for shape in SHAPES)
        for name in job["precisions"]
    }


@torch.inference_mode()
def _rate(shape: tuple[int, int, int], dtype: torch.dtype) -> float:
    rows, inner, columns = shape
    left = torch.randn(rows, inner).to(dtype)
    right = torch.nn.Linear(inner, columns, bias=False).to(dtype)
    right(left)
    taken = [seconds(lambda: right(left))]
    while sum(taken) < DURATION:
        taken.append(seconds(lambda: right(left)))
    return 2 * rows * inner * columns / min(taken)


if __name__ == "__main__":
    answer_with_torch(measure)
