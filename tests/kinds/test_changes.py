"""How far outputs moved, relative to their size."""

from __future__ import annotations

import numpy as np

from taskbank.kinds.changes import largest_changes, output_scale


def test_what_rounding_is_relative_to() -> None:
    """It is the largest output of the reference, and never less than 1."""
    assert output_scale(np.zeros((0, 2))) == output_scale(np.full((3, 2), 0.5)) == 1
    assert output_scale(np.array([[1.0, -50.0]])) == 50
    moved = largest_changes(
        np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.5, 1.0], [2.0, np.nan]])
    )
    assert moved.tolist() == [0.5, np.inf]
