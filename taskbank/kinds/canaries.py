"""Chooses the handful of a split's examples by which a change is noticed first.

They are of every class, and the ones whose answer leads the next best by least, so that
whatever moves the outputs flips some of these before it flips others.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

FEW = 16  # examples of a split with at most so many classes
MANY = 128  # and of any other, at most


def choose_canaries(
    kind: Kind, predictions: np.ndarray, columns: Columns, definition: Definition
) -> tuple[int, ...]:
    """Return the positions of a split's canaries, in their order.

    Args:
        kind: of the task.
        predictions: of the split.
        columns: of its examples.
        definition: of the task.
    """
    margins = kind.margins(predictions, columns, definition)
    order = np.lexsort((np.arange(len(margins)), margins)).tolist()
    strata = kind.strata(columns)
    nearest: dict[Hashable, int] = {}
    for row in order:
        nearest.setdefault(strata[row], row)
    chosen = sorted(nearest.values(), key=lambda row: (margins[row], row))[:MANY]
    taken = set(chosen)
    chosen += [row for row in order if row not in taken][: max(0, FEW - len(chosen))]
    return tuple(sorted(chosen))
