"""Finds examples with equal inputs, which must not be separated when data is split."""

from __future__ import annotations

import numpy as np

from taskbank.data.examples import Examples
from taskbank.digests import canonical_json


def equal_inputs(examples: Examples, label: str) -> np.ndarray:
    """Return the group of each example: examples with equal inputs have equal numbers.

    The groups are numbered from 0 in the order of their first examples.

    Args:
        examples: the labelled examples.
        label: the column to predict, which is not an input.

    Returns:
        an int64 array of shape [examples].
    """
    columns = [values for name, values in examples.columns.items() if name != label]
    groups: dict[str, int] = {}
    numbers = [
        groups.setdefault(canonical_json(list(inputs)), len(groups))
        for inputs in zip(*columns, strict=True)
    ]
    return np.array(numbers, dtype=np.int64)
