"""Computes metrics of predictions and detects collapsed trainings."""

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
    """Return every metric of a split's predictions, with standard errors.

    Args:
        kind: the task's kind.
        split: the split's name.
        predictions: the split's predictions, in the shape that the kind defines.
        columns: the columns of the split's examples.
        definition: the task's definition.
    """
    return [
        MetricRecord(split, name, metric.value, metric.standard_error, metric.count)
        for name, metric in kind.metrics(predictions, columns, definition).items()
    ]


def has_collapsed(
    kind: Kind, predictions: np.ndarray, columns: Columns, definition: Definition
) -> bool:
    """Return whether a training collapsed, which means that it learned nothing.

    A collapsed training gives the same answer to every example, or is no better than constant
    predictions on every metric.

    Args:
        kind: the task's kind.
        predictions: the predictions on the validation split.
        columns: the columns of the validation examples.
        definition: the task's definition.
    """
    if len({canonical_json(value) for value in columns[kind.label.name]}) == 1:
        return False  # if all labels are equal, a constant answer is right
    answers = kind.answers(predictions, columns, definition)
    if len({answer["label"] for answer in answers}) == 1:
        return True
    baseline = kind.constant_baseline(columns, definition)
    baseline_scores = kind.scores(baseline, columns, kind.tune(baseline, columns, definition))
    scores = kind.scores(predictions, columns, definition)
    # Losses are left out: a loss may fall a little while every prediction is still the same.
    names = scores.keys() - set(LOWER_IS_BETTER)
    return all(scores[name] <= baseline_scores[name] for name in names)
