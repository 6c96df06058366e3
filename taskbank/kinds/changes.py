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
        changed: whether each example's answer changed, of shape [examples].
        margin: the reference's margin of its own answer over the new answer, of shape [examples];
            infinite if unknown.
        moved: the largest change of each example's outputs, of shape [examples]; infinite if an
            output is NaN or infinite.
        scale: the largest magnitude of the reference's outputs, at least 1. Rounding errors are
            proportional to it.
    """

    changed: np.ndarray
    margin: np.ndarray
    moved: np.ndarray
    scale: float

    def within(self, noise: float) -> np.ndarray:
        """Return which examples changed by no more than noise can explain.

        Args:
            noise: the largest change of an output that rounding alone can cause.

        Returns:
            a boolean array of shape [examples].
        """
        within: np.ndarray = (self.margin <= 2 * noise) & (self.moved <= noise)
        return within


def output_scale(reference: np.ndarray) -> float:
    """Return the largest magnitude of a reference's finite outputs, at least 1."""
    return max(1.0, float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0)))


def largest_changes(reference: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the largest change in each row; infinite if a value is NaN or infinite."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        moved = np.abs(predictions.astype(np.float64) - reference).max(axis=1)
    return np.where(np.isfinite(moved), moved, np.inf)
