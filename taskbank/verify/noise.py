"""How far rounding alone moves a task's outputs, measured where the task is verified.

The same examples in batches of another shape, or with another number of threads, are summed
in another order. What that does to the outputs depends on the task and the processor, so it is
measured and not assumed. It is always that of float32, in which the reference was computed: what
another number type does is no noise but the question that was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.model.predict import predict_examples

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.kind import Columns, Kind
    from taskbank.model.task_model import TaskModel

# A few examples in a few shapes do not show the largest move there is, and the reference may
# have been computed by another processor.
MARGIN = 10
# A few shapes may move nothing where others do. In 200 verifications of six tasks in batches of all
# sizes (scripts/verification/false_alarms.py), outputs moved by up to an eighth of the noise that
# comes of this.
DIGITS = 64 * float(np.finfo(np.float32).eps)


def measured_noise(
    model: TaskModel,
    kind: Kind,
    definition: Definition,
    columns: Columns,
    encoded: Encoded,
    observed: np.ndarray,
) -> float:
    """Return how far rounding alone may move an output of a task.

    Args:
        model: the backbone with the task on.
        kind: of the task.
        definition: of the task.
        columns: of some of its examples.
        encoded: the same, for the model.
        observed: what was predicted for them, among others.
    """
    found = [predict_examples(model, kind, encoded, size) for size in (1, len(encoded))]
    if torch.get_num_threads() > 1:
        with threads(1):
            found.append(predict_examples(model, kind, encoded))
    changes = [kind.changes(observed, one, columns, definition) for one in found]
    moved = np.concatenate([one.moved for one in changes])
    largest = float(moved[np.isfinite(moved)].max(initial=0.0))
    return max(MARGIN * largest, least_noise(changes[0].scale))


def least_noise(scale: float) -> float:
    """Return what two runs may differ by even where nothing was seen to move.

    Args:
        scale: the largest output.
    """
    return DIGITS * scale


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads while it lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
