"""Default hyperparameters, by method and size of the training data.

Rates are part of each `Method`. `scripts/paper/hyperparameters.py` measured rates and epochs; the
results are in the documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbank.digests import Json

if TYPE_CHECKING:
    from taskbank.methods.method import Method

SMALL = 1_000  # rows; smaller training sets get more epochs
EPOCHS, EPOCHS_OF_SMALL = 10, 20


def recommended(method: Method, rows: int) -> dict[str, Json]:
    """Return the default fields of `TrainingSpec`.

    Args:
        method: how the task is adapted.
        rows: rows of training data.
    """
    return {
        "learning_rate": method.rate,
        "epochs": EPOCHS_OF_SMALL if rows < SMALL else EPOCHS,
    }
