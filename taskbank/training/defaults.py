"""Default hyperparameters, by method and dataset size.

Each `Method` defines its own learning rate. `scripts/paper/hyperparameters.py` measured the rates
and the numbers of epochs; the documentation has the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbank.digests import Json

if TYPE_CHECKING:
    from taskbank.methods.method import Method

SMALL_DATA = 1_000  # rows; smaller training sets get more epochs
EPOCHS, EPOCHS_SMALL_DATA = 10, 20


def default_hyperparameters(method: Method, rows: int) -> dict[str, Json]:
    """Return the defaults of `TrainingSpec` that depend on the method and the data.

    Args:
        method: the method that adapts the backbone.
        rows: number of training examples.
    """
    return {
        "learning_rate": method.rate,
        "epochs": EPOCHS_SMALL_DATA if rows < SMALL_DATA else EPOCHS,
    }
