"""Measures how far a task's outputs depend on the batch that they are computed in.

The noise is always that of float32, the type of the reference: the effect of another number type
is not noise but the very change that a verification with `--what-if dtype` is to reveal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskbank.errors import UnstableError
from taskbank.kinds.changes import output_scale
from taskbank.kinds.definition import Definition
from taskbank.model.predict import predict_examples
from taskbank.verify.rounding import describe_instability, is_unstable, noise_of

if TYPE_CHECKING:
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Columns, Kind
    from taskbank.model.stored_model import StoredModel


def measure_noise(
    model: StoredModel,
    kind: Kind,
    definition: Definition,
    columns: Columns,
    encoded: Encoded,
    observed: np.ndarray,
    scale: float,
) -> float:
    """Return how far rounding alone may move an output of a task; see `noise_of`.

    Args:
        model: the backbone with the task attached.
        kind: the task's kind.
        definition: the task's definition.
        columns: the columns of a few of its examples.
        encoded: the same examples, encoded for the model.
        observed: the predictions for these examples, made in larger batches.
        scale: the largest output of the task.
    """
    predictions = [predict_examples(model, kind, encoded, size) for size in (1, len(encoded))]
    if torch.get_num_threads() > 1:
        with use_threads(1):
            predictions.append(predict_examples(model, kind, encoded))
    largest = max(
        _largest_difference(kind, definition, columns, observed, other) for other in predictions
    )
    return noise_of(largest, scale, reduced_precision=_has_reduced_precision(model))


def check_stable(
    model: StoredModel,
    kind: Kind,
    definition: Definition,
    columns: Columns,
    encoded: Encoded,
    observed: np.ndarray,
) -> None:
    """Raise unless a task's outputs are the same in other batches, up to rounding.

    Args:
        model: the backbone with the task attached.
        kind: the task's kind.
        definition: the task's definition.
        columns: the columns of a few of its examples.
        encoded: the same examples, encoded for the model.
        observed: the predictions for these examples, made in larger batches.

    Raises:
        UnstableError: if they are not.
    """
    scale = output_scale(observed)
    noise = measure_noise(model, kind, definition, columns, encoded, observed, scale)
    if is_unstable(noise, scale):
        raise UnstableError(f"nothing is recorded: {describe_instability(noise, scale)}")


def _largest_difference(
    kind: Kind,
    definition: Definition,
    columns: Columns,
    observed: np.ndarray,
    other: np.ndarray,
) -> float:
    """Return the largest difference; infinite if only one side has a NaN or an infinite output."""
    if (np.isfinite(observed) != np.isfinite(other)).any():
        return float("inf")
    moved = kind.changes(observed, other, columns, definition).moved
    return float(moved[np.isfinite(moved)].max(initial=0.0))


def _has_reduced_precision(model: StoredModel) -> bool:
    # On a GPU, products of float32 may be computed in TF32.
    device = model.backbone.device.type
    return torch.is_autocast_enabled(device) or torch.get_float32_matmul_precision() != "highest"


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads inside the `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
