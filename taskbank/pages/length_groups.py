"""How correct answers are by the length of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank.digests import Json

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

GROUPS = 5  # of examples by length


@dataclass(frozen=True)
class LengthGroup:
    """Examples of similar length: their number of words, and how correct their answers are."""

    shortest: int
    longest: int
    count: int
    correctness: float


def length_groups(kind: Kind, columns: Columns, correctness: np.ndarray) -> tuple[LengthGroup, ...]:
    """Return groups of about equally many examples, those with the shortest inputs first.

    Args:
        kind: the kind of task.
        columns: the examples' columns.
        correctness: how correct each answer is, of shape [examples].
    """
    inputs = [values for name, values in columns.items() if name != kind.label.name]
    counts = np.array(
        [sum(_words(values[row]) for values in inputs) for row in range(len(correctness))]
    )
    if not len(counts):
        return ()
    edges = np.unique(np.quantile(counts, np.linspace(0, 1, GROUPS + 1)[1:-1], method="lower"))
    groups = np.searchsorted(edges, counts, side="left")
    return tuple(
        LengthGroup(
            int(counts[groups == group].min()),
            int(counts[groups == group].max()),
            int((groups == group).sum()),
            float(correctness[groups == group].mean()),
        )
        for group in np.unique(groups)
    )


def _words(value: Json) -> int:
    return len(value) if isinstance(value, list | tuple) else len(str(value).split())
