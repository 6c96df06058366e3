"""Retries an out-of-memory batch in halves, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from taskbank.errors import InputError

Result = TypeVar("Result")


def compute_in_halves(
    rows: np.ndarray,
    compute: Callable[[np.ndarray], Result],
    undo: Callable[[], None] | None = None,
) -> list[tuple[np.ndarray, Result]]:
    """Compute a batch, or its two halves if memory is too small for the batch.

    Args:
        rows: positions of the inputs, of shape [batch].
        compute: computes the result of some rows.
        undo: undoes the effects of the failed computation.

    Returns:
        one or two pairs of the rows that were computed together, and their result.

    Raises:
        InputError: if half of the batch does not fit either.
    """
    try:
        return [(rows, compute(rows))]
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            raise _too_large(1) from None
    # Outside the handler, which keeps the failed computation's tensors alive.
    if undo is not None:
        undo()
    torch.cuda.empty_cache()
    warnings.warn(
        f"a batch of {len(rows)} inputs does not fit into the GPU's memory; it is computed in "
        "halves",
        stacklevel=2,
    )
    half = len(rows) // 2
    try:
        return [(part, compute(part)) for part in (rows[:half], rows[half:])]
    except torch.OutOfMemoryError:
        raise _too_large(half) from None


def _too_large(inputs: int) -> InputError:
    return InputError(
        f"the GPU's memory is too small for a batch of {inputs} inputs: in training give a "
        "smaller --batch-size or --batch-tokens, elsewhere shorter texts or --device cpu"
    )
