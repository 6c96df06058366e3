"""Measures how far rounding alone moves a task's outputs on the verifying machine.

Other batch shapes and thread counts change the order of summation. The effect on the outputs
depends on the task and the processor, so it is measured instead of assumed. The noise is always
that of float32, the type of the reference: the effect of another number type is not noise but the
very change that a verification with `--what-if dtype` is to reveal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.kinds.definition import Definition
from taskbank.model.predict import predict_examples

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Columns, Kind
    from taskbank.model.task_model import TaskModel

# A few examples in a few batch shapes do not show the largest possible move, and another processor
# may have computed the reference.
SAFETY_FACTOR = 10
# The measured batch shapes may move nothing although others would. In 200 verifications of six
# tasks in batches of all sizes (scripts/verification/false_alarms.py), outputs moved by at most an
# eighth of this minimum.
MINIMUM_RELATIVE_NOISE = 64 * float(np.finfo(np.float32).eps)


def measure_noise(
    model: TaskModel,
    kind: Kind,
    definition: Definition,
    columns: Columns,
    encoded: Encoded,
    observed: np.ndarray,
) -> float:
    """Return how far rounding alone may move an output of a task.

    Args:
        model: the backbone with the task attached.
        kind: the task's kind.
        definition: the task's definition.
        columns: the columns of a few of its examples.
        encoded: the same examples, encoded for the model.
        observed: the predictions for these examples, made in larger batches.
    """
    predictions = [predict_examples(model, kind, encoded, size) for size in (1, len(encoded))]
    if torch.get_num_threads() > 1:
        with use_threads(1):
            predictions.append(predict_examples(model, kind, encoded))
    changes = [kind.changes(observed, other, columns, definition) for other in predictions]
    moved = np.concatenate([change.moved for change in changes])
    largest = float(moved[np.isfinite(moved)].max(initial=0.0))
    return max(SAFETY_FACTOR * largest, minimum_noise(changes[0].scale))


def minimum_noise(scale: float) -> float:
    """Return the smallest noise to assume, even if no measured output moved.

    Args:
        scale: the largest output.
    """
    return MINIMUM_RELATIVE_NOISE * scale


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads inside the `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
