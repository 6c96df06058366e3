"""Metrics of predictions, and whether a training learned anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.records import MetricRecord
from taskbank.digests import canonical_json
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import LOWER_IS_BETTER

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind


def measure(
    kind: Kind, split: str, predictions: np.ndarray, columns: Columns, definition: Definition
) -> list[MetricRecord]:
    """Return every metric of a kind on a split's predictions, with standard errors.

    Args:
        kind: the task's kind.
        split: the split's name.
        predictions: of the shape that the kind says.
        columns: of the split's examples.
        definition: of the task.
    """
    return [
        MetricRecord(split, name, found.value, found.standard_error, found.count)
        for name, found in kind.metrics(predictions, columns, definition).items()
    ]


def has_collapsed(
    kind: Kind, predictions: np.ndarray, columns: Columns, definition: Definition
) -> bool:
    """Return whether predictions show that a training learned nothing.

    They give the same answer to every example, or are by no metric better than constant
    predictions.

    Args:
        kind: the task's kind.
        predictions: of validation.
        columns: of its examples.
        definition: of the task.
    """
    if len({canonical_json(value) for value in columns[kind.label.name]}) == 1:
        return False  # where every label is the same, one answer is the right one
    answers = kind.answers(predictions, columns, definition)
    if len({answer["label"] for answer in answers}) == 1:
        return True
    baseline = kind.constant_baseline(columns, definition)
    chance = kind.scores(baseline, columns, kind.tune(baseline, columns, definition))
    scores = kind.scores(predictions, columns, definition)
    # The loss may fall a little while every prediction is still the same.
    names = scores.keys() - set(LOWER_IS_BETTER)
    return all(scores[name] <= chance[name] for name in names)
