"""The settings of a grid."""

from __future__ import annotations

from taskbank.training.search import Search, settings
from tests.helpers.training import BASE, GRID


def test_a_grid_is_every_combination_in_order() -> None:
    """Each value of each hyperparameter meets each of the others, once."""
    found = list(settings(BASE, Search(GRID)))
    chosen = [(s.training.learning_rate, s.method.options["size"]) for s in found]
    assert chosen == [(0.0001, 4), (0.0001, 8), (0.02, 4), (0.02, 8)]
    assert list(settings(BASE, Search())) == [BASE]
