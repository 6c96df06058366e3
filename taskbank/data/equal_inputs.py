"""Finds examples with equal inputs, which must not be separated when data is split.

Inputs are equal if they differ at most in letter case, white space, invisible characters and
Unicode's forms of the same character.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from taskbank.data.examples import Examples
from taskbank.data.normal_text import visible_text
from taskbank.digests import Json

KEY_SIZE = 16  # bytes: no two of 10^15 inputs have the same key by chance


def input_keys(examples: Examples, label: str) -> list[bytes]:
    """Return a key of each example's input; equal inputs have equal keys.

    Args:
        examples: the labelled examples.
        label: the column to predict, which is not an input.
    """
    columns = [
        [_normal(value) for value in values]
        for name, values in sorted(examples.columns.items())
        if name != label
    ]
    return [
        blake2b("\0".join(inputs).encode(), digest_size=KEY_SIZE).digest()
        for inputs in zip(*columns, strict=True)
    ]


def equal_inputs(examples: Examples, label: str) -> np.ndarray:
    """Return the group of each example: examples with equal inputs have equal numbers.

    The groups are numbered from 0 in the order of their first examples.

    Args:
        examples: the labelled examples.
        label: the column to predict, which is not an input.

    Returns:
        an int64 array of shape [examples].
    """
    groups: dict[bytes, int] = {}
    numbers = [groups.setdefault(key, len(groups)) for key in input_keys(examples, label)]
    return np.array(numbers, dtype=np.int64)


def _normal(value: Json) -> str:
    if isinstance(value, str):
        return visible_text(value).casefold()
    return "\1".join(map(_normal, value))  # a list of words
