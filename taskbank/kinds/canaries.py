"""Chooses a split's canaries: the few examples that reveal a change first.

They represent every class and have the smallest margins between best and second-best answer, so
that a drift of the outputs flips their answers before it flips others.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

MIN_CANARIES = 16  # number of canaries of a split with no more classes than this
MAX_CANARIES = 128  # maximum number of canaries of any other split


def choose_canaries(
    kind: Kind, predictions: np.ndarray, columns: Columns, definition: Definition
) -> tuple[int, ...]:
    """Return the positions of a split's canaries, in their order.

    Args:
        kind: the task's kind.
        predictions: the split's predictions.
        columns: the split's columns.
        definition: the task's definition.
    """
    margins = kind.margins(predictions, columns, definition)
    order = np.lexsort((np.arange(len(margins)), margins)).tolist()
    strata = kind.strata(columns)
    nearest: dict[Hashable, int] = {}
    for row in order:
        nearest.setdefault(strata[row], row)
    chosen = sorted(nearest.values(), key=lambda row: (margins[row], row))[:MAX_CANARIES]
    selected = set(chosen)
    chosen += [row for row in order if row not in selected][: max(0, MIN_CANARIES - len(chosen))]
    return tuple(sorted(chosen))
