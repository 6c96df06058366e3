"""What is done so that memory suffices, on a GPU and beside one.

A batch that is too large for a GPU's memory is computed in two halves, once, and it is said. Beside
one, what many batches took is given back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import numpy as np
import torch

from taskbank.errors import InputError

Made = TypeVar("Made")

# Of glibc's mallopt: from how many bytes on something has pages of its own, and how many may stay
# unused at the end of the heap.
OWN_PAGES, UNUSED = -3, -1
APART = {OWN_PAGES: 1 << 22, UNUSED: 1 << 27}
AS_EVER = {OWN_PAGES: 1 << 25, UNUSED: 1 << 26}  # what it comes to itself where tensors are large
OF_THE_USER = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def in_halves_if_need_be(
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


@contextmanager
def large_apart() -> Iterator[None]:
    """Let each large tensor have pages of its own for a while, which go when it goes.

    Left alone, glibc soon takes tensors of up to 32 MiB from the heap. Batches differ in size, and
    between their tensors lie small things that stay, so the heap grows from batch to batch though
    next to nothing is kept. It holds for the whole process; where the allocator is another one, or
    the user has set it, nothing is done.
    """
    _set(APART)
    try:
        yield
    finally:
        _set(AS_EVER)


def _set(values: Mapping[int, int]) -> None:
    mallopt = _mallopt()
    if mallopt is not None:
        for name, value in values.items():
            mallopt(name, value)


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    """Return what sets how glibc allocates, if it allocates and the user has not set it."""
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in OF_THE_USER):
        return None
    found: Callable[[int, int], int] = ctypes.CDLL(None).mallopt
    return found
