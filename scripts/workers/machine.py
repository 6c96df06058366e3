"""Measures how fast this machine multiplies matrices: the best of some shapes, by number type."""

from __future__ import annotations

import torch
from worker import Found, Job, answer, seconds

SHAPES = ((1024, 384, 1536), (1024, 1536, 384), (2048, 2048, 2048))
LONG = 0.5  # seconds that a shape is tried for


def measure(job: Job) -> Found:
    """Return floating-point operations a second, by the names of the number types asked for."""
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
    while sum(taken) < LONG:
        taken.append(seconds(lambda: right(left)))
    return 2 * rows * inner * columns / min(taken)


if __name__ == "__main__":
    answer(measure)
