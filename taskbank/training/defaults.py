"""What a task is trained with where nothing is said.

`scripts/defaults.py` measures it; docs/paper.md has what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from taskbank.digests import Json

SMALL = 1_000  # rows of train; so few are passed over more often

# Rates by method; what a plugin adds starts from the one of the paper's adapters.
RATES: Mapping[str, float] = {
    "houlsby": 1e-3,
    "pfeiffer": 3e-3,
    "parallel": 1e-3,
    "lora": 3e-3,
    "ia3": 1e-2,
    "bitfit": 3e-3,
    "layernorm": 3e-3,
    "top-k": 3e-4,
    "full": 1e-4,
}
EPOCHS, EPOCHS_OF_SMALL = 10, 20


def recommended(method: str, rows: int) -> dict[str, Json]:
    """Return the fields of `TrainingSpec` that measure best.

    Args:
        method: how the task is adapted.
        rows: of train.
    """
    return {
        "learning_rate": RATES.get(method, RATES["houlsby"]),
        "epochs": EPOCHS_OF_SMALL if rows < SMALL else EPOCHS,
    }
