"""Computes metrics of predictions and detects collapsed trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.records import MetricRecord
from taskbank.digests import Json, canonical_json
from taskbank.kinds.calibration import without_temperature
from taskbank.kinds.definition import Definition
from taskbank.kinds.metrics import LOWER_IS_BETTER, OF_ABSTENTION, orient

# Answers are nearly constant if others than the most common are this share of what they should be.
NEARLY = 0.05

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


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a trial that is to be stored.

    Attributes:
        predictions: the predictions of every evaluated split, by name.
        metrics: every metric on every evaluated split, and over the folds if there are any.
        chance: the probability of a score as good without any relation; see `chance_of_score`.
    """

    predictions: Mapping[str, np.ndarray]
    metrics: tuple[MetricRecord, ...]
    chance: float | None


RANDOM_ORDERS = 399  # orders of the labels that are tried
TRIED_EXAMPLES = 500  # if so many do not show that answers and labels are related, more rarely do


def chance_of_score(
    kind: Kind, metric: str, predictions: np.ndarray, columns: Columns, definition: Definition
) -> float | None:
    """Return the probability of a score as good with the labels in random order.

    A probability that is not small means that the examples do not show that the predictions have
    anything to do with the labels: they are too few, or the adapter has learned nothing. A
    permutation test, Good, "Permutation, Parametric, and Bootstrap Tests of Hypotheses" (2005),
    section 3.2, with a fixed seed.

    Args:
        kind: the task's kind.
        metric: the name of the metric that gives the score.
        predictions: the predictions of the examples.
        columns: the columns of the examples.
        definition: the task's definition.

    Returns:
        the probability; None for a kind whose labels belong to the words of their own text.
    """
    if kind.per_token:
        return None
    label, count = kind.label.name, len(predictions)
    generator = np.random.default_rng(0)
    rows = generator.choice(count, min(count, TRIED_EXAMPLES), replace=False)
    columns = {name: [values[row] for row in rows] for name, values in columns.items()}
    predictions = predictions[rows]
    if metric not in (*LOWER_IS_BETTER, *OF_ABSTENTION):
        # The temperature changes no answer, and with it every order would be calibrated, too.
        definition = without_temperature(definition)

    def score(labels: Sequence[Json]) -> float:
        values = kind.scores(predictions, {**columns, label: labels}, definition)
        return orient(metric, values[metric])

    labels, own = columns[label], score(columns[label])
    orders = (generator.permutation(len(labels)) for _ in range(RANDOM_ORDERS))
    as_good = sum(score([labels[row] for row in order]) >= own for order in orders)
    return (1 + as_good) / (1 + RANDOM_ORDERS)


def has_collapsed(
    kind: Kind, predictions: np.ndarray, columns: Columns, definition: Definition
) -> bool:
    """Return whether a training collapsed, which means that it learned nothing.

    A collapsed training gives the same answer to nearly every example, or is no better than
    constant predictions on every metric.

    Args:
        kind: the task's kind.
        predictions: the predictions on the validation split.
        columns: the columns of the validation examples.
        definition: the task's definition.
    """
    if len({canonical_json(value) for value in columns[kind.label.name]}) == 1:
        return False  # if all labels are equal, a constant answer is right
    answers = kind.answers(predictions, columns, definition)
    # Strata are classes of labels: sentences without entities are one stratum, however long.
    other_answers = _outside_of_largest(answer["label"] for answer in answers)
    if other_answers <= NEARLY * _outside_of_largest(kind.strata(columns)):
        return True
    baseline = kind.constant_baseline(columns, definition)
    baseline_scores = kind.scores(baseline, columns, kind.tune(baseline, columns, definition))
    scores = kind.scores(predictions, columns, definition)
    # Losses are left out: a loss may fall a little while every prediction is still the same. What a
    # version withholds is left out, too: it may be everything.
    names = scores.keys() - set(LOWER_IS_BETTER) - set(OF_ABSTENTION)
    return all(scores[name] <= baseline_scores[name] for name in names)


def _outside_of_largest(values: Iterable[Hashable]) -> int:
    """Return the number of values that differ from the most common one."""
    counts = Counter(values)
    return counts.total() - max(counts.values())
