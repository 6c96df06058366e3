"""How predictions differ from reference predictions of the same examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Changes:
    """How predictions differ from reference predictions of the same examples.

    Attributes:
        changed: whether what is predicted is another, of shape [examples].
        margin: by how much the reference preferred what it predicted to what is predicted now;
            infinite where that is not known.
        moved: the largest change of any output of an example; infinite where one is no number.
        scale: the largest output of the reference, at least 1: rounding is relative to it.
    """

    changed: np.ndarray
    margin: np.ndarray
    moved: np.ndarray
    scale: float

    def within(self, noise: float) -> np.ndarray:
        """Return which examples moved by no more than noise, across no more than it can bridge.

        Args:
            noise: how far rounding alone may move an output.

        Returns:
            an array of shape [examples].
        """
        within: np.ndarray = (self.margin <= 2 * noise) & (self.moved <= noise)
        return within


def scale_of(reference: np.ndarray) -> float:
    """Return the largest output of a reference that is a number, at least 1."""
    return max(1.0, float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0)))


def moved_by(reference: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the largest change in each row, infinite where it is no number."""
    with np.errstate(invalid="ignore"):  # of infinity and infinity
        moved = np.abs(predictions.astype(np.float64) - reference).max(axis=1)
    return np.where(np.isfinite(moved), moved, np.inf)
