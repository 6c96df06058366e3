"""Metrics of predictions, as the bank records them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.records import MetricRecord
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind


def measure(
    kind: Kind, split: str, predictions: np.ndarray, columns: Columns, definition: Definition
) -> list[MetricRecord]:
    """Return every metric of a kind on a split's predictions, with standard errors.

    Args:
        kind: of the task.
        split: the split's name.
        predictions: of the shape that the kind says.
        columns: of the split's examples.
        definition: of the task.
    """
    return [
        MetricRecord(split, name, found.value, found.standard_error, found.count)
        for name, found in kind.metrics(predictions, columns, definition).items()
    ]
