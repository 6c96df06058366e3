"""Chooses the handful of a split's examples by which a change is noticed first.

They are of every class, and the ones whose answer leads the next best by least, so that
whatever moves the outputs flips some of these before it flips others.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.catalog.records import NewAdapter
from taskbank.data.examples import Examples

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind
    from taskbank.specs import Definition

FEW = 16  # examples of a split with at most so many classes
MANY = 128  # and of any other, at most


def with_canaries(new: NewAdapter) -> NewAdapter:
    """Return an adapter that is to be stored, with the canaries of its splits chosen."""
    from safetensors.numpy import load

    kind: Kind = plugins.load("kinds", new.kind)
    splits = []
    for split in new.splits:
        columns = Examples.from_bytes(split.examples, split.origin).columns
        predictions = load(split.logits)["logits"]
        rows = choose_canaries(kind, predictions, columns, new.definition)
        splits.append(replace(split, canary=tuple(rows)))
    return replace(new, splits=tuple(splits))


def choose_canaries(
    kind: Kind, predictions: np.ndarray, columns: Columns, definition: Definition
) -> list[int]:
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
    return sorted(chosen)
