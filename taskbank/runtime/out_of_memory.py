"""A batch that is too large for a GPU's memory: computed in two halves, once, and said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from taskbank.errors import InputError

Made = TypeVar("Made")


def compute_in_halves(
    rows: np.ndarray, compute: Callable[[np.ndarray], Made], undo: Callable[[], None] | None = None
) -> list[tuple[np.ndarray, Made]]:
    """Compute a batch, or its halves where the memory does not suffice for all of it.

    Args:
        rows: positions of the inputs, of shape [batch].
        compute: what is computed of some rows.
        undo: takes back what computing left before memory ran out.

    Returns:
        the rows that were computed at once, and what came of them: one pair or two.

    Raises:
        InputError: if not even half of the batch fits.
    """
    try:
        return [(rows, compute(rows))]
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            raise _too_large(1) from None
    # Outside of the handler, which holds on to what was computed.
    if undo is not None:
        undo()
    torch.cuda.empty_cache()
    warnings.warn(
        f"a batch of {len(rows)} inputs does not fit into the GPU's memory: it is computed in "
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
        f"the GPU's memory does not suffice for {inputs} inputs at once: in training give a "
        "smaller --batch-size or --batch-tokens, elsewhere shorter texts or --device cpu"
    )
